//! Shares of the callers, and where a caller stands among all of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// All callers, in hundredths of a percent.
pub const WHOLE: u16 = 10_000;

/// A share of the callers, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub(super) u16);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(WHOLE);

    /// So many hundredths of a percent; `None` where that is more than all.
    pub fn of(hundredths: u16) -> Option<Self> {
        (hundredths <= WHOLE).then_some(Self(hundredths))
    }

    /// Reads a percentage such as `5%` or `0.25%`, two digits after the point at most.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) || whole.len() > 3 || part.len() > 2 {
            return None;
        }
        let part = format!("{part:0<2}").parse::<u16>().ok()?;
        Self::of(whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(part)?)
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Whether a caller is among them. Who is among few is among more.
    pub fn has(self, bucket: Bucket) -> bool {
        bucket.0 < self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

/// Where a caller stands among all callers of one rollout: always at the same place in that one, and anywhere in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket(pub(super) u16);

impl Bucket {
    /// That of a caller, by what the caller is known by.
    pub fn of(rollout: u64, caller: &[&[u8]]) -> Self {
        let number = rollout.to_be_bytes();
        let parts: Vec<&[u8]> = std::iter::once(number.as_slice()).chain(caller.iter().copied()).collect();
        let [a, b, c, d, ..] = *Digest::of_parts(&parts).as_bytes();
        // 10,000 in four billion: how uneven that is cannot be measured.
        Self((u32::from_be_bytes([a, b, c, d]) % u32::from(WHOLE)) as u16)
    }
}
