//! How a request stands with its limits, and how that is told in the headers of its response.
//!
//! The fields are `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>), and the three that its versions up to 06 had in
//! their place, which most clients read: `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`. Of all limits that a
//! request was counted by they tell the one that is nearest to its end.

use std::cell::Cell;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Limit;

tokio::task_local! {
    static CURRENT: Cell<Option<Standing>>;
}

/// How a key stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// How many may come at once.
    pub quota: u32,
    /// In which time as many may come again.
    pub window: Duration,
    /// How many may come now.
    pub remaining: u32,
    /// After which time all may come again.
    pub reset: Duration,
}

impl Standing {
    /// Whether it is nearer to its end than another.
    fn is_tighter(&self, other: &Self) -> bool {
        let share = |one: &Self, of: &Self| u64::from(one.remaining) * u64::from(of.quota);
        share(self, other) < share(other, self)
    }

    /// Adds the fields to the headers of a response.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Self { limit, quota, remaining, .. } = self;
        let (name, reset) = (limit.as_str(), seconds(self.reset));
        let window = seconds(self.window).max(1);
        let fields = [
            ("ratelimit-policy", format!("\"{name}\";q={quota};w={window}")),
            ("ratelimit", format!("\"{name}\";r={remaining};t={reset}")),
            ("ratelimit-limit", quota.to_string()),
            ("ratelimit-remaining", remaining.to_string()),
            ("ratelimit-reset", reset.to_string()),
        ];
        for (name, text) in fields {
            if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        // Where a page may read some headers, it may read these.
        if headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS) {
            for field in FIELDS {
                headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, field.into());
            }
        }
    }
}

/// The fields.
const FIELDS: [HeaderName; 5] = [
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// Whole seconds, and not less.
pub fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Answers a request; gives with the answer how the request stands.
pub async fn watched<F: Future>(begins: Option<Standing>, answering: F) -> (F::Output, Option<Standing>) {
    CURRENT
        .scope(Cell::new(begins), async move {
            let answer = answering.await;
            (answer, CURRENT.with(Cell::get))
        })
        .await
}

/// Notes how the request that is being answered here stands with one of its limits.
pub fn note(standing: Standing) {
    // What is answered by a task of its own tells nothing: its head is on its way.
    let _ = CURRENT.try_with(|current| match current.get() {
        Some(known) if !standing.is_tighter(&known) => {}
        _ => current.set(Some(standing)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOSE: Standing = Standing {
        limit: Limit::AddressRequests,
        quota: 5_000,
        window: Duration::from_secs(5),
        remaining: 4_999,
        reset: Duration::from_millis(1),
    };
    const TIGHT: Standing = Standing {
        limit: Limit::Function,
        quota: 20,
        window: Duration::from_secs(2),
        remaining: 3,
        reset: Duration::from_millis(1_700),
    };

    #[tokio::test]
    async fn the_tightest_is_told() {
        let answering = async {
            note(TIGHT);
            note(LOOSE);
        };
        let ((), standing) = watched(Some(LOOSE), answering).await;
        assert_eq!(standing, Some(TIGHT));
        note(TIGHT);
        assert_eq!(watched(None, async {}).await.1, None);
    }

    #[test]
    fn it_is_told_in_both_spellings() {
        let mut headers = HeaderMap::new();
        TIGHT.tell(&mut headers);
        let told = FIELDS.map(|field| headers.get(field).and_then(|value| value.to_str().ok()).unwrap_or_default());
        assert!(!headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        assert_eq!(told, ["\"app_function\";q=20;w=2", "\"app_function\";r=3;t=2", "20", "3", "2"]);
    }
}
