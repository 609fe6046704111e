//! Why a message to a webhook got no answer: few reasons with fixed words, so that owners read them in their language. What the
//! system says beyond that is for the house's log.

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFault {
    /// Not an address that can be posted to.
    NoAddress,
    /// A name that leads to nothing in the public internet: which of the two is not said.
    LeadsNowhere,
    /// Nothing listens there.
    Refused,
    /// The network does not lead there.
    Unreachable,
    /// No answer within the time.
    TookTooLong,
    /// The connection ended before an answer.
    BrokeOff,
    /// What was answered is not HTTP.
    NotHttp,
    /// It is not spoken TLS with.
    NotTls,
    /// Its certificate is out of its time.
    CertificateExpired,
    /// Its certificate is another name's.
    CertificateOfOther,
    /// Nobody whom the house trusts vouches for its certificate.
    CertificateUnknown,
    /// The house has no authorities to know certificates by.
    NoAuthorities,
    /// The house cannot read the secret that messages are signed with.
    NoSecret,
}

impl HookFault {
    /// All of them.
    pub const ALL: [HookFault; 13] = [
        HookFault::NoAddress,
        HookFault::LeadsNowhere,
        HookFault::Refused,
        HookFault::Unreachable,
        HookFault::TookTooLong,
        HookFault::BrokeOff,
        HookFault::NotHttp,
        HookFault::NotTls,
        HookFault::CertificateExpired,
        HookFault::CertificateOfOther,
        HookFault::CertificateUnknown,
        HookFault::NoAuthorities,
        HookFault::NoSecret,
    ];

    /// In words, as it is kept and told to programs; languages say it by these.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            HookFault::NoAddress => "it is no address that can be posted to",
            HookFault::LeadsNowhere => "it leads into a private network, or nowhere",
            HookFault::Refused => "nothing takes connections there",
            HookFault::Unreachable => "the network does not lead there",
            HookFault::TookTooLong => "it took too long",
            HookFault::BrokeOff => "the connection broke off before an answer",
            HookFault::NotHttp => "what it answered is not HTTP",
            HookFault::NotTls => "it does not speak TLS with us",
            HookFault::CertificateExpired => "its certificate has expired, or does not count yet",
            HookFault::CertificateOfOther => "its certificate is made out to another name",
            HookFault::CertificateUnknown => {
                "its certificate does not hold: nobody whom the house trusts vouches for it"
            }
            HookFault::NoAuthorities => {
                "the house has no certificate authorities to know it by: tell its operator"
            }
            HookFault::NoSecret => {
                "the house cannot read the secret of this webhook: make a new one"
            }
        }
    }
}

impl std::fmt::Display for HookFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
