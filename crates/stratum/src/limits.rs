//! Every bound of the gateway, with its reason and its cost.

use std::time::Duration;

/// The longest line a miner may send. The longest honest one, `mining.configure` with every known
/// extension, is below 1 KiB; a `mining.capabilities` of bfgminer below 4 KiB. Costs this much
/// memory a connection while a line is incomplete.
pub const LINE_BYTES_MAX: usize = 16 << 10;

/// Lines that are not Stratum before a connection is closed: enough for a forked firmware's stray
/// output, too few for a fuzzer to warm the house.
pub const BAD_LINES_MAX: u32 = 10;

/// The longest request id echoed. Real ones are integers or short strings.
pub const ID_BYTES_MAX: usize = 128;

/// The longest login.
pub const USER_BYTES_MAX: usize = 128;

/// The longest password.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// What is kept of what a miner calls itself.
pub const AGENT_BYTES_MAX: usize = 64;

/// Logins on one connection: a proxy in front of a rack of machines has some tens.
pub const WORKERS_MAX: usize = 64;

/// Refused logins before a connection is closed: a mistyped configuration is tried again by the
/// firmware, slowly; who guesses passwords needs a new connection for every few.
pub const LOGINS_REFUSED_MAX: u32 = 5;

/// From connecting to the first successful login. Slow firmware takes seconds; the time includes a
/// password check.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// How long a connection without an accepted share may stay where places are short (seven eighths of an
/// account's, an address's or of all are taken); one without a login (V2: a channel) only as long as its
/// handshake may take. Names of accounts are public and none asks for a password: without
/// this a stranger could keep an account's own machines out for as long as he likes. The difficulty
/// control brings an honest machine its first share within a minute; where a class is one for all
/// (Ethash's free nonces) a weak one may take minutes.
pub const UNPROVEN_MAX: Duration = Duration::from_secs(10 * 60);

/// Silence before a connection is closed. The difficulty control eases until a share comes every
/// few seconds, so a machine silent for a quarter of an hour is not mining.
pub const IDLE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long one write may take before the connection counts as one that does not read. What waits
/// meanwhile is one batch of replies (below 256 KiB) and the kernel's buffer.
pub const WRITE_MAX: Duration = Duration::from_secs(10);

/// Jobs kept alive: twelve minutes of refreshes at one in 30 s, so more than a ten-minute epoch.
/// Each holds its template's transactions: 4 MB at the most, 96 MB together.
pub const LIVE_JOBS_MAX: usize = 24;

/// Shares of one job and class from one session that are told from each other; more are refused
/// with code 20. A job is replaced after 30 s, so this is 8,700 shares a second for its whole time:
/// above what any one connection was measured to send. About 32 bytes each, 8 MB.
pub const SEEN_PER_JOB_MAX: usize = 1 << 18;

/// The same over all jobs of one session; above it the oldest job is forgotten (its shares are
/// stale). 16 MB for the most furious session.
pub const SEEN_PER_SESSION_MAX: usize = 2 * SEEN_PER_JOB_MAX;

/// The same over all sessions of a gateway: 56 s of 300,000 shares a second, so that all shares of a
/// job's 30 s can be told apart at the highest rate that was measured. About 32 bytes each, 512 MB
/// at the most; ordinary lanes (a share in 5 s from each of 20,000 machines, over the twelve
/// minutes that jobs live) hold 3 million. Near the bound the oldest jobs are forgotten for all
/// sessions, and where one job alone fills it, its shares are refused: never is one taken twice.
pub const SEEN_TOTAL_MAX: usize = 1 << 24;

/// How often one job is given to one session, or V2 channel, at all classes together: a search for a
/// machine's class changes it at most eight times within a job's 30 s. Who wishes for more changes than
/// that has them with the next job. Bounds what is held of 24 jobs to 384 entries (9 KB) a session, and
/// what one session takes of the prefixes.
pub const GIVEN_PER_JOB_MAX: usize = 16;

/// How often V2 channels of one connection get a job once more under another number and prefix,
/// together: four times for each of [`V2_CHANNELS_MAX`]. About 64 bytes each, 6 MB for 24 jobs.
pub const V2_AGAIN_PER_JOB_MAX: usize = 4 * V2_CHANNELS_MAX;

/// The window over which bad shares are counted, and the part of it that closes the connection:
/// half of 500. Only what no honest machine sends counts (malformed, or below its difficulty);
/// duplicates and stale shares do not, because real firmware sends them (NerdQAxe).
pub const BAD_SHARES_WINDOW: u32 = 500;

/// See [`BAD_SHARES_WINDOW`].
pub const BAD_SHARES_MAX: u32 = BAD_SHARES_WINDOW / 2;

/// How far a header's time may run ahead of its job's (ckpool's rule).
pub const NTIME_AHEAD_OF_JOB_MAX: u32 = 7000;

/// How far a header's time may run ahead of ours: the chains' rule of two hours.
pub const NTIME_AHEAD_OF_CLOCK_MAX: u32 = 7200;

/// How far ahead of its job's time a header may always be, whatever our clock says: a clock that
/// jumped back must not refuse all work.
pub const NTIME_AHEAD_ALWAYS: u32 = 600;

/// Bytes of extranonce 1: four, because some firmware breaks on more.
pub const EXTRANONCE1_BYTES: usize = 4;

/// Bytes of extranonce 2: eight, because some firmware never submits with more, and 12 together are
/// what the stamp's rule allows.
pub const EXTRANONCE2_BYTES: usize = 8;

/// How many epochs a start may seal one by one: two years of ten-minute epochs, 3 MB of log.
pub const SEALS_AT_START_MAX: u64 = 100_000;

/// Shares of one connection in one round of the gateway: what a pipelining proxy sends at once.
/// More waits for the next round, so that others are not kept waiting.
pub const CANDIDATES_PER_VISIT_MAX: usize = 64;

/// A PROXY protocol header with all its fields: what fits into the smallest packet that every
/// network carries, and what the protocol asks its senders to stay below. Costs this much memory a
/// connection until the header is whole.
pub const PROXY_HEADER_BYTES_MAX: usize = 536;

/// Shares in one round of a gateway's loop: some milliseconds of hashing at the most, the longest
/// that a miner waits for others' shares. As many are hashed side by side and written to the log
/// at once, so that less would not be cheaper.
pub const CANDIDATES_PER_ROUND_MAX: usize = 256;

/// Shares of one connection in a visit to the light line (see `gateway::turns`): what a miner hands in at a
/// time, and not a proxy. Thousands that flood so cost others 15 µs each, and no more.
pub const LIGHT_CANDIDATES_PER_VISIT: usize = 4;

/// Visits to the light line in one round. Each connection is touched twice, when it is read and when it is answered, and what
/// the system and we keep of it (some 5 KB) should be in the core's own cache (one or two megabytes) the second time, too.
pub const LIGHT_VISITS_PER_ROUND_MAX: usize = 128;

/// Shares of those with more in one round even where the light line fills it: a fifth of what is taken then.
pub const HEAVY_CANDIDATES_PER_ROUND: usize = CANDIDATES_PER_VISIT_MAX;

/// Shares that one turn of all who have more takes, about: some 7 ms. Each visit has its part of it, at
/// least [`HEAVY_CANDIDATES_PER_VISIT_MIN`] and at most [`CANDIDATES_PER_VISIT_MAX`].
pub const HEAVY_CANDIDATES_PER_TURN: usize = 2048;

/// See [`HEAVY_CANDIDATES_PER_TURN`]: below this a visit costs more than its shares.
pub const HEAVY_CANDIDATES_PER_VISIT_MIN: usize = 8;

/// Visits in one round to those who have not brought good work (see `gateway::turns`): some 5 µs each
/// where little is said.
pub const OTHERS_PER_ROUND_MAX: usize = 256;

/// Bytes read from them in one round, and one read more: a third of a millisecond of reading lines.
pub const OTHERS_BYTES_PER_ROUND_MAX: usize = 64 << 10;

/// Shares of theirs in one round even where others fill it: one visit's.
pub const OTHERS_CANDIDATES_PER_ROUND: usize = CANDIDATES_PER_VISIT_MAX;

/// Steps of handshakes (Noise, TLS) in one round: a millisecond each at the most. A storm of ten thousand
/// miners is through in seconds, and who mines waits for no more than these.
pub const HANDSHAKES_PER_ROUND_MAX: usize = 4;

/// Machines, each at an address, that are known to have brought good work where hashing is slow (see `gateway::known`): all
/// that a lane serves, three times. About 100 bytes each, 6 MB.
pub const KNOWN_MACHINES_MAX: usize = 1 << 16;

/// How long a machine is known after its last good share: an address changes its owner about as often.
pub const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Hashes of one machine at one address that are made before anything else is known of their connections, at once: half of what the
/// processor does side by side. Rigs with one name between them come back so many at a time.
pub const HASHES_ON_TRUST_MAX: usize = 4;

/// Shares of one connection that wait for slow hashes (scrypt, Ethash), of who has not brought mostly good ones: one turn of
/// hashing. Who has may bring [`CANDIDATES_PER_VISIT_MAX`].
pub const OTHERS_HASHES_PER_VISIT_MAX: usize = 12;

/// What the shares of one connection that wait for slow hashes cost in memory: so many, with what is known of them and, once
/// they were hashed, their answers. What is to be answered to other lines of the same read comes to it, below 256 KiB.
pub const HASHING_BYTES_MAX: usize = 26 << 10;

/// The same of who has not brought mostly good ones: 120 MB for a whole lane of 20,000 that flood.
pub const OTHERS_HASHING_BYTES_MAX: usize = 6 << 10;

/// Shares of a new connection that are hashed for nothing, though they are not bad (late, or twice in one read), before it is no
/// newcomer any more where hashing is slow. An honest machine may bring one or two: its first share waits behind a flood until
/// the next block is there. Without a bound a single share that came late, sent again and again, would keep whoever sends it
/// among the newcomers, whose every share is hashed before those of who has brought bad ones. Shares that are refused without a
/// hash cost nothing and count for nothing: a machine that connects again hands in what it has of its last connection.
pub const NEWCOMERS_HASHES_IN_VAIN_MAX: u8 = 4;

/// How long shares that were taken may be hashed where a program leaves or stops, before they are dropped: any may solve a
/// block. Ten seconds are 2,800 hashes of Ethash from the cache on one core, of scrypt 180,000, and an epoch's cache is made
/// in less. Those who mine go first, so what is dropped after that is a flood's.
pub const HASHED_OUT_MAX: Duration = Duration::from_secs(10);

/// Connections accepted in one round: a storm of them must not keep those waiting that mine.
pub const ACCEPTS_PER_ROUND_MAX: usize = 64;

/// Sessions that are told to who looks at them, between two rounds: some 1 µs each.
pub const SESSIONS_TOLD_PER_ROUND_MAX: usize = 256;

/// Connections that are given a new job before shares are looked at again: some 8 µs each.
pub const JOBS_GIVEN_PER_ROUND_MAX: usize = 1024;

/// How long jobs are given before shares are looked at again, and one connection more: one with a thousand
/// channels of headers-only work costs some milliseconds by itself.
pub const JOBS_GIVEN_TIME_MAX: Duration = Duration::from_millis(5);

/// Logins looked up at a time; more wait their turn. The database's own queue is no better, and a
/// storm of reconnecting miners must not take all of it.
pub const LOGINS_AT_ONCE_MAX: usize = 64;

/// What may wait for a miner that does not read: the replies to one read (16 KiB of requests, below
/// 256 KiB) and a job.
pub const UNSENT_BYTES_MAX: usize = 1 << 20;

/// The longest payload a V2 client may send. The longest honest one, the setup of a connection with
/// five texts of 255 bytes, is 1.3 KiB. Costs this much memory a connection while a frame is
/// incomplete.
pub const V2_FRAME_BYTES_MAX: usize = 4 << 10;

/// Channels on one V2 connection: a proxy in front of a hall of machines has one for each. About
/// 1 KB each: 1 MB at the most.
pub const V2_CHANNELS_MAX: usize = 1024;

/// Channels of all V2 connections of a gateway: 64 MB. Those of one account are bounded as its
/// connections are.
pub const V2_CHANNELS_TOTAL_MAX: usize = 1 << 16;

/// What each login costs of [`FRUITLESS_BYTES_MAX`] beyond as many as one connection can have in force
/// ([`WORKERS_MAX`], [`V2_CHANNELS_MAX`]): four a second, because each is looked up in the database, where
/// all wait for [`LOGINS_AT_ONCE_MAX`].
pub const LOGIN_COST_BYTES: usize = 4 << 10;

/// Silence before a V2 connection on which a channel was opened is closed. Proxies have nothing to
/// say while their machines are off, and not all connect again (`translator_sv2` 0.6 leaves an
/// upstream for good that closed on it). A dead peer is found sooner, by what we write.
pub const V2_IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often the machines' classes are written down: loses a minute's at most, and costs the disk
/// 1.6 MB a minute at the most.
pub const CLASSES_SAVED_EVERY: Duration = Duration::from_secs(60);

/// Works of the Ethash family kept alive: a minute at one in 3 s (geth remakes its block so often),
/// five at one a block of 13 s. A solution of any of them is sent, because it may make an uncle
/// (six generations at the most). Each holds its claims, 5 MB at the most, and the
/// classes of its parts, 0.5 MB for 20,000 NiceHash connections: 132 MB together.
pub const ETH_WORKS_MAX: usize = 24;

/// Shares of one header hash from all sessions of a lane: 20,000 a second for a block of 13 s, five
/// times what 20,000 machines with a share in five seconds send. 18 bytes each: 5 MB. Beyond it
/// shares are refused with code 20, because they could not be told from repeated ones.
pub const ETH_CLAIMS_PER_WORK_MAX: usize = 1 << 18;

/// Shares of one header hash and class from one session, so that one miner cannot use up what all
/// have together: 315 a second for a block of 13 s, while its difficulty is still far too low.
pub const ETH_SHARES_PER_WORK_MAX: usize = 4096;

/// Header hashes remembered after their works have gone, half a day of blocks: a node that gives one
/// of them again (it hangs, or another takes its place) would let old shares in once more. 32 bytes
/// each.
pub const ETH_HEADERS_REMEMBERED: usize = 4096;

/// Light caches held: the one in use, the next, and the last for late shares. 16 MB each at epoch 0,
/// 285 MB at the highest epoch served.
pub const ETH_CACHES_MAX: usize = 3;

/// How many blocks before an epoch's end the next cache is made: an hour of 13 s each; making it
/// takes seconds.
pub const ETH_CACHE_AHEAD_BLOCKS: u64 = 300;

/// Bytes that a connection may send at once without bringing an accepted share: two thousand shares
/// that are stale or sent twice, or all the handshakes of a proxy with 64 machines many times over.
/// Costs nothing to hold; what it costs to answer is below 10 ms of one processor.
pub const FRUITLESS_BYTES_MAX: u32 = 256 << 10;

/// The same for each second: a hundred shares. Who sends more is read more slowly; an accepted share
/// costs nothing, at whatever rate they come.
pub const FRUITLESS_BYTES_PER_SECOND: u32 = 16 << 10;

/// What an accepted share is taken to have cost in bytes: the longest usual line.
pub const SHARE_LINE_BYTES: u32 = 256;

/// What a TLS client may send before its handshake is over, and one read more: a hello with every known
/// extension is below 3 KiB, a certificate is not asked for. rustls alone would keep 64 KiB.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 16 << 10;

/// Connections of one address that were closed for hostile behaviour before it is turned away: a
/// farm's proxy that is misconfigured reconnects about once in ten seconds, a fuzzer hundreds of
/// times a second.
pub const HOSTILE_CLOSES_MAX: u32 = 20;

/// After this long, half of an address's hostile closes are forgotten.
pub const HOSTILE_HALF_LIFE: Duration = Duration::from_secs(60);

/// Addresses whose hostile closes are remembered: 48 bytes each, 200 KB.
pub const HOSTILE_ADDRESSES_MAX: usize = 4096;

/// Places that the table of open files is given at the start: growing it while miners connect stops the loop
/// for 5 to 20 ms at each doubling. 8 bytes each of the kernel's memory.
pub const FILE_TABLE_MAX: usize = 1 << 16;

/// File handles left for nodes, database, log and pages, whatever the miners do.
pub const HANDLES_RESERVED: usize = 512;

/// What the kernel holds for a miner that does not read, before we notice (it doubles this for its
/// own bookkeeping). Some ten jobs; with the default it would be megabytes.
pub const SEND_BUFFER_BYTES: usize = 128 << 10;

/// Connections that wait to be accepted: four seconds of a storm of a thousand a second.
pub const BACKLOG: i32 = 4096;

/// Characters of a message shown on machines: what fits on a line of a log or a small display, and far
/// below what any firmware reads at once.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// Over how many seconds those are asked to come back that a restart cannot keep: 20,000 in ten seconds
/// are 2,000 a second, which the accepting side takes (see [`BACKLOG`]), and no machine waits long.
pub const COME_BACK_SPREAD_SECS: u32 = 10;

/// The longest list of a job's transactions that is given out, in characters, once a job: what miners
/// that ask for it (BFGMiner) read, and a cost like one read's replies. A full block would be 8 MB.
pub const TRANSACTIONS_CHARS_MAX: usize = 64 << 10;

/// Owners' places that jobs of a lane may pay to at one moment. Each costs a job made (some 20 µs) and a record of 740 bytes (with a
/// branch of twelve) in the log whenever a job is made: 2.4 MB a day at one in 30 s and two for each of 144 blocks, 75 MB a day for
/// all of them; with auxiliary chains 100 bytes for each chain beside it, and a job for each of their blocks. And some
/// kilobytes of memory for each job that lives.
pub const DESTINATIONS_MAX: usize = 32;

/// Jobs handed to the next program on a graceful restart: four minutes of refreshes, 32 MB at the
/// most. Shares of older ones are stale.
pub const KEPT_JOBS_MAX: usize = 8;
