//! How long a job that failed waits before it runs again: twice as long each time, and never all of them at once.

use weir_schema::limits::JobSettings;

/// The wait after so many failures, in milliseconds: between half and all of what the settings say, so that jobs that failed
/// together do not come again together. `random` is any number.
pub(super) fn delay_ms(settings: &JobSettings, failures: u32, random: u64) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let whole = settings.backoff_ms.saturating_mul(doubled).min(settings.backoff_max_ms);
    let half = whole / 2;
    half + random % (whole - half).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let settings = JobSettings { backoff_ms: 100, backoff_max_ms: 1_000, ..JobSettings::default() };
        let table = [(1, 50, 100), (2, 100, 200), (3, 200, 400), (4, 400, 800), (5, 500, 1_000), (100, 500, 1_000)];
        for (failures, least, most) in table {
            let waits: Vec<u64> = (0..1_000).map(|random| delay_ms(&settings, failures, random)).collect();
            assert_eq!(waits.iter().min(), Some(&least), "{failures}");
            assert_eq!(waits.iter().max(), Some(&most), "{failures}");
        }
    }

    #[test]
    fn no_setting_overflows() {
        for (backoff_ms, backoff_max_ms) in [(0, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (5, 1)] {
            let settings = JobSettings { backoff_ms, backoff_max_ms, ..JobSettings::default() };
            for random in [0, u64::MAX] {
                assert!(delay_ms(&settings, u32::MAX, random) <= backoff_max_ms);
            }
        }
    }
}
