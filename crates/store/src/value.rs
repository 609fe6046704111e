//! Values that go into and come out of the database: 64-bit integers, text and bytes.

use gruve_units::{
    AccountId, Accrual, Asset, BankEntryId, Bps, Class, ContractId, EpochNumber, Hashes, Hashrate,
    InvoiceId, JobId, LaneId, MachineId, PaymentId, PayoutId, QuoteId, SiteId, Timestamp,
};

/// The kind of a column or of an absent value; `PostgreSQL` wants to know it even of NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `INTEGER` / `BIGINT`.
    Int,
    /// `TEXT`.
    Text,
    /// `BLOB` / `BYTEA`.
    Bytes,
}

/// A value of a statement's parameter or of a row's column.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A 64-bit integer.
    Int(i64),
    /// Text without NUL characters.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Absent; the kind it would have.
    Null(Kind),
    /// A number that no column can hold (above 2⁶³ − 1). A statement given it is refused before
    /// it is sent, so that [`Storable`] conversions need not fail one by one.
    TooLarge(&'static str),
}

impl std::fmt::Debug for Value {
    /// Shows what kind of value it is and not the value: parameters may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Int(_) => f.write_str("Int"),
            Value::Text(t) => write!(f, "Text({} bytes)", t.len()),
            Value::Bytes(b) => write!(f, "Bytes({})", b.len()),
            Value::Null(k) => write!(f, "Null({k:?})"),
            Value::TooLarge(what) => write!(f, "TooLarge({what})"),
        }
    }
}

impl Value {
    /// How many bytes it holds.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Value::Int(_) => 8,
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Null(_) | Value::TooLarge(_) => 0,
        }
    }
}

/// A type that can be a statement's parameter. Implement it, and [`FromValue`], for a room's own
/// types.
pub trait Storable {
    /// The kind of column it goes into.
    const KIND: Kind;
    /// The value to store.
    fn into_value(self) -> Value;
}

/// What a column held instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {wanted}")]
pub struct Unfit {
    /// What was asked for.
    pub wanted: &'static str,
}

/// A type that can be read from a row's column.
pub trait FromValue: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When the value is of another kind or out of the type's range.
    fn from_value(value: Value) -> Result<Self, Unfit>;

    /// The same of a value that stays where it is: types of a fixed size need no copy of it.
    ///
    /// # Errors
    /// As [`FromValue::from_value`].
    fn from_ref(value: &Value) -> Result<Self, Unfit> {
        Self::from_value(value.clone())
    }
}

impl<T: Storable> From<T> for Value {
    fn from(v: T) -> Value {
        v.into_value()
    }
}

impl<T: Storable> Storable for Option<T> {
    const KIND: Kind = T::KIND;
    fn into_value(self) -> Value {
        self.map_or(Value::Null(T::KIND), T::into_value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Null(_) => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }

    fn from_ref(value: &Value) -> Result<Self, Unfit> {
        match value {
            Value::Null(_) => Ok(None),
            other => T::from_ref(other).map(Some),
        }
    }
}

/// A reference stores a copy.
impl<T: Storable + Clone> Storable for &T {
    const KIND: Kind = T::KIND;
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl Storable for i64 {
    const KIND: Kind = Kind::Int;
    fn into_value(self) -> Value {
        Value::Int(self)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Int(v) => Ok(v),
            _ => Err(Unfit { wanted: "an integer" }),
        }
    }
}

macro_rules! small_integers {
    ($($t:ty),*) => {$(
        impl Storable for $t {
            const KIND: Kind = Kind::Int;
            fn into_value(self) -> Value {
                Value::Int(i64::from(self))
            }
        }
        impl FromValue for $t {
            fn from_value(value: Value) -> Result<Self, Unfit> {
                <$t>::try_from(i64::from_value(value)?)
                    .map_err(|_| Unfit { wanted: concat!("an integer of type ", stringify!($t)) })
            }
        }
    )*};
}
small_integers!(u8, u16, u32, i32);

/// Refused above 2⁶³ − 1 when the statement is run; see [`Value::TooLarge`].
impl Storable for u64 {
    const KIND: Kind = Kind::Int;
    fn into_value(self) -> Value {
        i64::try_from(self).map_or(Value::TooLarge("u64"), Value::Int)
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        u64::try_from(i64::from_value(value)?).map_err(|_| Unfit { wanted: "a count" })
    }
}

/// 0 or 1.
impl Storable for bool {
    const KIND: Kind = Kind::Int;
    fn into_value(self) -> Value {
        Value::Int(i64::from(self))
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            _ => Err(Unfit { wanted: "0 or 1" }),
        }
    }
}

impl Storable for String {
    const KIND: Kind = Kind::Text;
    fn into_value(self) -> Value {
        Value::Text(self)
    }
}

impl Storable for &str {
    const KIND: Kind = Kind::Text;
    fn into_value(self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Text(t) => Ok(t),
            _ => Err(Unfit { wanted: "text" }),
        }
    }
}

impl Storable for Vec<u8> {
    const KIND: Kind = Kind::Bytes;
    fn into_value(self) -> Value {
        Value::Bytes(self)
    }
}

impl Storable for &[u8] {
    const KIND: Kind = Kind::Bytes;
    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl<const N: usize> Storable for [u8; N] {
    const KIND: Kind = Kind::Bytes;
    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Bytes(b) => Ok(b),
            _ => Err(Unfit { wanted: "bytes" }),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Result<Self, Unfit> {
        Vec::from_value(value)?
            .try_into()
            .map_err(|_| Unfit { wanted: "bytes of the fixed length" })
    }

    fn from_ref(value: &Value) -> Result<Self, Unfit> {
        match value {
            Value::Bytes(b) => b.as_slice().try_into(),
            _ => return Err(Unfit { wanted: "bytes" }),
        }
        .map_err(|_| Unfit { wanted: "bytes of the fixed length" })
    }
}

macro_rules! stored_as {
    ($($t:ty as $raw:ty: |$v:ident| $into:expr, |$r:ident| $from:expr;)*) => {$(
        impl Storable for $t {
            const KIND: Kind = <$raw as Storable>::KIND;
            fn into_value(self) -> Value {
                let $v = self;
                <$raw as Storable>::into_value($into)
            }
        }
        impl FromValue for $t {
            fn from_value(value: Value) -> Result<Self, Unfit> {
                let $r = <$raw as FromValue>::from_value(value)?;
                let made: Option<$t> = $from;
                made.ok_or(Unfit { wanted: stringify!($t) })
            }

            fn from_ref(value: &Value) -> Result<Self, Unfit> {
                let $r = <$raw as FromValue>::from_ref(value)?;
                let made: Option<$t> = $from;
                made.ok_or(Unfit { wanted: stringify!($t) })
            }
        }
    )*};
}

stored_as! {
    AccountId as [u8; 16]: |v| v.to_bytes(), |r| Some(AccountId::from_bytes(r));
    ContractId as [u8; 16]: |v| v.to_bytes(), |r| Some(ContractId::from_bytes(r));
    QuoteId as [u8; 16]: |v| v.to_bytes(), |r| Some(QuoteId::from_bytes(r));
    InvoiceId as [u8; 16]: |v| v.to_bytes(), |r| Some(InvoiceId::from_bytes(r));
    PayoutId as [u8; 16]: |v| v.to_bytes(), |r| Some(PayoutId::from_bytes(r));
    PaymentId as [u8; 16]: |v| v.to_bytes(), |r| Some(PaymentId::from_bytes(r));
    BankEntryId as [u8; 16]: |v| v.to_bytes(), |r| Some(BankEntryId::from_bytes(r));
    MachineId as [u8; 16]: |v| v.to_bytes(), |r| Some(MachineId::from_bytes(r));
    SiteId as [u8; 16]: |v| v.to_bytes(), |r| Some(SiteId::from_bytes(r));
    Hashes as [u8; 16]: |v| v.to_be_bytes(), |r| Some(Hashes::from_be_bytes(r));
    Hashrate as [u8; 16]: |v| v.to_be_bytes(), |r| Some(Hashrate::from_be_bytes(r));
    Accrual as [u8; 16]: |v| v.to_be_bytes(), |r| Some(Accrual::from_be_bytes(r));
    Timestamp as i64: |v| v.0, |r| Some(Timestamp(r));
    EpochNumber as u64: |v| v.0, |r| Some(EpochNumber(r));
    // A job's number uses all 64 bits: its two's complement is stored, so equality holds and order
    // does not.
    JobId as i64: |v| v.0.cast_signed(), |r| Some(JobId(r.cast_unsigned()));
    Class as u8: |v| v.k(), |r| Class::new(r);
    Bps as u16: |v| v.get(), |r| Bps::new(r);
    Asset as String: |v| v.code().to_owned(), |r| Asset::ALL.into_iter().find(|a| a.code() == r);
    LaneId as String: |v| v.into(), |r| r.parse().ok();
}

/// The parameters of a statement, in order: `params![id, now, "text", Some(3_i64)]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$($crate::Value::from($value)),*] as [$crate::Value; $crate::params!(@count $($value),*)]
    };
    (@count) => { 0 };
    (@count $first:expr $(, $rest:expr)*) => { 1 + $crate::params!(@count $($rest),*) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<T: Storable + FromValue + Clone + PartialEq + std::fmt::Debug>(v: T) {
        assert_eq!(T::from_value(Value::from(v.clone())), Ok(v.clone()));
        assert_eq!(Option::<T>::from_value(Value::from(Some(v.clone()))), Ok(Some(v)));
        assert_eq!(Option::<T>::from_value(Value::from(None::<T>)), Ok(None));
    }

    #[test]
    fn every_type_survives_storing_and_reading() {
        survives(-5_i64);
        survives(u32::MAX);
        survives(u64::MAX >> 1);
        survives(true);
        survives("text".to_owned());
        survives(vec![1_u8, 2]);
        survives([7_u8; 32]);
        survives(AccountId::from_bytes([9; 16]));
        survives(Hashes(u128::MAX));
        survives(Hashrate(5));
        survives(Accrual(u128::MAX));
        survives(Timestamp(i64::MIN));
        survives(EpochNumber(77));
        survives(JobId(u64::MAX));
        for asset in Asset::ALL {
            survives(asset);
        }
        survives("ltc".parse::<LaneId>().unwrap());
        survives(Class::new(20).unwrap());
        survives(Bps::new(10_000).unwrap());
    }

    #[test]
    fn values_out_of_range_are_not_read() {
        assert!(u32::from_value(Value::Int(-1)).is_err());
        assert!(u64::from_value(Value::Int(-1)).is_err());
        assert!(bool::from_value(Value::Int(2)).is_err());
        assert!(<[u8; 4]>::from_value(Value::Bytes(vec![0; 5])).is_err());
        assert!(Class::from_value(Value::Int(101)).is_err());
        assert!(Asset::from_value(Value::Text("btc".into())).is_err());
        assert!(i64::from_value(Value::Null(Kind::Int)).is_err());
        assert_eq!(Value::from(u64::MAX), Value::TooLarge("u64"));
    }

    #[test]
    fn values_do_not_show_what_they_hold() {
        let shown = format!("{:?}", params!["hunter2", [1_u8; 4], 5_i64, None::<i64>]);
        assert_eq!(shown, "[Text(7 bytes), Bytes(4), Int, Null(Int)]");
    }
}
