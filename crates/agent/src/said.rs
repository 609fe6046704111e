//! Reading answers of cgminer's API. Pure.
//!
//! Makers have kept the form and not the fields; what is read, in order of preference:
//!
//! | figure | fields |
//! |---|---|
//! | hashrate | `GHS 5s`, `MHS 5s`, `MHS 1m`, `KHS 5s`, `GHS av`, `MHS av`, `KHS av` of `SUMMARY`; else the sum of `MHS 5s` or `MHS av` over `DEVS` |
//! | power | `Power` of `SUMMARY` (MicroBT), `power`, `Power`, `chain_power` or `total_power` of `STATS` |
//! | temperature | the highest of fields that begin with `temp` or `Temperature`, or end with `Temp` |
//! | fans | `fan1` to `fan8` of `STATS`, `Fan Speed In` and `Fan Speed Out` of `SUMMARY`; stopped ones that are not there (0) are left out |
//! | uptime | `Elapsed` of `SUMMARY` |
//!
//! Numbers come as numbers or as text, with decimals; they are read as decimals, not as floats. Some firmwares
//! leave out the comma between two objects of a list, which is mended.

use crate::Fault;
use gruve_farm::{FANS_MAX, Said};
use serde_json::{Map, Value};

/// Characters of a machine's complaint that are kept.
const COMPLAINT_CHARS_MAX: usize = 80;

/// An answer's JSON.
///
/// # Errors
/// [`Fault::Garbage`], or [`Fault::Refused`] when the machine answers with an error.
pub fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Garbage)?;
    let value: Value = match serde_json::from_str(text.trim()) {
        Ok(value) => value,
        Err(_) => serde_json::from_str(text.trim().replace("}{", "},{").as_str())
            .map_err(|_| Fault::Garbage)?,
    };
    if !value.is_object() {
        return Err(Fault::Garbage);
    }
    let status = value.get("STATUS").and_then(|s| s.get(0));
    if let Some(status) = status
        && matches!(status.get("STATUS").and_then(Value::as_str), Some("E" | "F"))
    {
        let text = status.get("Msg").and_then(Value::as_str).unwrap_or("an error");
        let plain = text.chars().filter(|c| !c.is_control());
        return Err(Fault::Refused(plain.take(COMPLAINT_CHARS_MAX).collect()));
    }
    Ok(value)
}

/// What answers say together.
///
/// # Errors
/// [`Fault::Garbage`] when they say nothing at all.
pub fn read(answers: &[Value]) -> Result<Said, Fault> {
    let summary: Vec<_> = sections(answers, "SUMMARY");
    let stats: Vec<_> = sections(answers, "STATS");
    let devs: Vec<_> = sections(answers, "DEVS");
    if summary.is_empty() && stats.is_empty() && devs.is_empty() {
        return Err(Fault::Garbage);
    }
    let both: Vec<_> = summary.iter().chain(&stats).copied().collect();
    Ok(Said {
        hashes_per_second: hashrate(&summary).or_else(|| hashrate_of_devs(&devs)),
        watts: watts(&both),
        temperature_c: both.iter().chain(&devs).copied().flat_map(temperatures).max(),
        fans_rpm: fans(&both),
        uptime_s: both.iter().find_map(|s| whole(s.get("Elapsed")?)),
    })
}

fn sections<'a>(answers: &'a [Value], name: &str) -> Vec<&'a Map<String, Value>> {
    let lists = answers.iter().filter_map(|a| a.get(name)).filter_map(Value::as_array);
    lists.flatten().filter_map(Value::as_object).collect()
}

/// Fields with what one unit of them is in hashes.
const RATES: [(&str, u64); 7] = [
    ("GHS 5s", 1_000_000_000),
    ("MHS 5s", 1_000_000),
    ("MHS 1m", 1_000_000),
    ("KHS 5s", 1_000),
    ("GHS av", 1_000_000_000),
    ("MHS av", 1_000_000),
    ("KHS av", 1_000),
];

fn hashrate(sections: &[&Map<String, Value>]) -> Option<u64> {
    RATES
        .iter()
        .find_map(|(field, unit)| sections.iter().find_map(|s| decimal(s.get(*field)?, *unit)))
}

fn hashrate_of_devs(devs: &[&Map<String, Value>]) -> Option<u64> {
    ["MHS 5s", "MHS av"].iter().find_map(|field| {
        let each: Vec<u64> =
            devs.iter().filter_map(|d| decimal(d.get(*field)?, 1_000_000)).collect();
        let sum = each.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
        sum.filter(|_| !each.is_empty())
    })
}

fn watts(sections: &[&Map<String, Value>]) -> Option<u32> {
    ["Power", "power", "total_power", "chain_power"].iter().find_map(|field| {
        let milliwatts = sections.iter().find_map(|s| decimal(s.get(*field)?, 1_000))?;
        // To the nearest watt.
        u32::try_from(milliwatts.saturating_add(500) / 1_000).ok()
    })
}

fn temperatures(section: &Map<String, Value>) -> Vec<i32> {
    let is_one = |name: &str| {
        let rest = name.strip_prefix("temp").map(|r| r.trim_start_matches(['_', '2', '3']));
        rest.is_some_and(|r| r.is_empty() || r.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
            || name.starts_with("Temperature")
            || name.ends_with("Temp")
    };
    let mut all = Vec::new();
    for (_, value) in section.iter().filter(|(name, _)| is_one(name)) {
        // Some give a board's sensors in one text: `61-58-71-70`.
        let text = text_of(value);
        for part in text.split('-').filter(|p| !p.is_empty()) {
            let whole = scaled(part, 1).and_then(|n| i32::try_from(n).ok());
            all.extend(whole.filter(|t| (1..=250).contains(t)));
        }
    }
    all
}

fn fans(sections: &[&Map<String, Value>]) -> Vec<u32> {
    let mut names: Vec<String> = (1..=8).map(|n| format!("fan{n}")).collect();
    names.extend(["Fan Speed In".to_owned(), "Fan Speed Out".to_owned()]);
    let one = |name: &String| sections.iter().find_map(|s| whole(s.get(name)?));
    let all = names.iter().filter_map(one).filter(|rpm| *rpm > 0);
    all.filter_map(|rpm| u32::try_from(rpm).ok()).take(FANS_MAX).collect()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.trim().to_owned(),
        _ => String::new(),
    }
}

pub(crate) fn whole(value: &Value) -> Option<u64> {
    decimal(value, 1)
}

/// A decimal times `unit`, rounded down; `None` for what is negative, no number, or too large.
pub(crate) fn decimal(value: &Value, unit: u64) -> Option<u64> {
    let text = text_of(value);
    // Units stand behind some numbers: `3250.5 W`.
    scaled(text.split_whitespace().next()?, unit)
}

/// The same of a decimal's text.
pub(crate) fn scaled(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.len() <= 20 && s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(12)];
    let places = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let all = whole.parse::<u128>().ok()?.checked_mul(places)?.checked_add(part)?;
    u64::try_from(all.checked_mul(u128::from(unit))? / places).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Said {
        read(&[parse(text.as_bytes()).unwrap()]).unwrap()
    }

    #[test]
    fn figures_are_read_from_what_makers_write() {
        let microbt = one(
            r#"{"STATUS":[{"STATUS":"S","Msg":"Summary"}],"SUMMARY":[{"Elapsed":67240,"MHS av":101216905.05,
            "MHS 5s":100543117.20,"Power":3417,"Temperature":80.00,"Env Temp":24.5,"Fan Speed In":5160,"Fan Speed Out":5190}]}"#,
        );
        let said = Said {
            hashes_per_second: Some(100_543_117_200_000),
            watts: Some(3_417),
            temperature_c: Some(80),
            fans_rpm: vec![5_160, 5_190],
            uptime_s: Some(67_240),
        };
        assert_eq!(microbt, said);
        let bitmain = [
            r#"{"STATUS":[{"STATUS":"S"}],"SUMMARY":[{"Elapsed":50474,"GHS 5s":"110566.89","GHS av":111834.63}]}"#,
            // The comma that this firmware leaves out.
            r#"{"STATUS":[{"STATUS":"S"}],"STATS":[{"BMMiner":"1.0.0"}{"STATS":0,"fan_num":4,"fan1":6000,"fan2":5880,
            "fan3":0,"temp1":58,"temp2_1":71,"temp_chip1":"61-58-74-70","temp_num":3,"frequency":525}]}"#,
        ];
        let answers: Vec<_> = bitmain.iter().map(|t| parse(t.as_bytes()).unwrap()).collect();
        let said = read(&answers).unwrap();
        assert_eq!(said.hashes_per_second, Some(110_566_890_000_000));
        assert_eq!((said.watts, said.uptime_s), (None, Some(50_474)), "it does not say its power");
        assert_eq!((said.fans_rpm, said.temperature_c), (vec![6_000, 5_880], Some(71)));
        let devs =
            r#"{"DEVS":[{"ASC":0,"MHS 5s":5.5,"Temperature":61.0},{"ASC":1,"MHS 5s":"4.5"}]}"#;
        assert_eq!(one(devs).hashes_per_second, Some(10_000_000));
        let text = r#"{"SUMMARY":[{"KHS av":12.5}],"STATS":[{"chain_power":"3250.5 W"}]}"#;
        assert_eq!((one(text).hashes_per_second, one(text).watts), (Some(12_500), Some(3_251)));
    }

    #[test]
    fn what_cannot_be_is_no_figure_and_what_cannot_be_read_is_garbage() {
        for odd in ["-5", "1e30", "\"NaN\"", "\"\"", "null", "[1]", "99999999999999999999999"] {
            let said = one(&format!(
                r#"{{"SUMMARY":[{{"MHS 5s":{odd},"Power":{odd},"Elapsed":{odd}}}]}}"#
            ));
            assert_eq!(said, Said::default(), "{odd}");
        }
        for bad in ["", "{", "[]", "7", "\u{7f}", "{\"SUMMARY\":[{]}"] {
            assert_eq!(parse(bad.as_bytes()), Err(Fault::Garbage), "{bad}");
        }
        assert_eq!(parse(&[0xff, 0xfe]), Err(Fault::Garbage));
        assert_eq!(read(&[parse(b"{}").unwrap()]), Err(Fault::Garbage));
        let refused = br#"{"STATUS":[{"STATUS":"E","Code":14,"Msg":"Invalid command"}]}"#;
        assert_eq!(parse(refused), Err(Fault::Refused("Invalid command".to_owned())));
    }
}
