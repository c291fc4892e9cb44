//! Content types, in and out (<https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// In what a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`: a well-formed request is answered with 200, whatever came of it.
    Json,
    /// `application/graphql-response+json`: a request that was refused before it ran is answered with 400.
    GraphqlResponse,
    /// `application/jsonl`: a line for each element of a list. A request that was refused before it ran is answered with 400.
    JsonLines,
    /// `text/event-stream`: an event for each result. A well-formed request is answered with 200, whatever came of it.
    EventStream,
}

impl MediaType {
    /// All, the ones first that clients get who do not care.
    const ALL: [Self; 4] = [Self::Json, Self::GraphqlResponse, Self::JsonLines, Self::EventStream];

    /// Its name without parameters.
    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::JsonLines => "application/jsonl",
            Self::EventStream => "text/event-stream",
        }
    }

    /// The header's value.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            // Its registration knows no charset: it is UTF-8.
            Self::JsonLines => "application/jsonl",
            Self::EventStream => "text/event-stream; charset=utf-8",
        })
    }

    /// The status of a request that was refused before it ran.
    pub fn refused(self) -> StatusCode {
        match self {
            Self::Json | Self::EventStream => StatusCode::OK,
            Self::GraphqlResponse | Self::JsonLines => StatusCode::BAD_REQUEST,
        }
    }
}

/// A range of media types that a client accepts (<https://www.rfc-editor.org/rfc/rfc9110#name-accept>).
struct Range<'a> {
    /// Without parameters: `application/json`, `text/*`, `*/*`.
    name: &'a str,
    /// From 0, which is not at all, to 1.
    quality: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let quality = match parts.find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('=')).map(str::parse) {
            None => 1.0,
            Some(Ok(quality)) if f32::is_finite(quality) => quality.clamp(0.0, 1.0),
            // Nothing that anybody could wish for.
            Some(_) => 0.0,
        };
        Some(Self { name, quality })
    }

    /// How closely it names a type, if it does.
    fn closeness(&self, media: MediaType) -> Option<u8> {
        let kind = media.name().split('/').next()?;
        match self.name.strip_suffix("/*") {
            Some("*") => Some(0),
            Some(all_of) => all_of.eq_ignore_ascii_case(kind).then_some(1),
            None => self.name.eq_ignore_ascii_case(media.name()).then_some(2),
        }
    }
}

fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let texts = headers.get_all(header::ACCEPT).iter().flat_map(|header| header.to_str().unwrap_or("?").split(','));
    texts.filter_map(Range::parse).collect()
}

/// How much a client wants a type, and the place in its header where it says so: what names the type most closely counts.
fn wish(ranges: &[Range<'_>], media: MediaType) -> Option<(f32, usize)> {
    let named = ranges.iter().enumerate().filter_map(|(place, range)| Some((range.closeness(media)?, place, range)));
    let (_, place, range) = named.min_by_key(|(closeness, place, _)| (u8::MAX - closeness, *place))?;
    (range.quality > 0.0).then_some((range.quality, place))
}

/// What a client accepts: the best of ours, the first named of two as good. `None` if it accepts none.
///
/// Without the header, and for `*/*`, it is `application/json`, as old clients expect.
pub fn accepted(headers: &HeaderMap) -> Option<MediaType> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Some(MediaType::Json);
    }
    let mut best: Option<(MediaType, (f32, usize))> = None;
    for media in MediaType::ALL {
        let Some((quality, place)) = wish(&ranges, media) else { continue };
        if best.is_none_or(|(_, (most, first))| quality > most || (quality == most && place < first)) {
            best = Some((media, (quality, place)));
        }
    }
    best.map(|(media, _)| media)
}

/// Whether a client takes server-sent events, also if it likes something else better.
pub fn accepts_events(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    let is_named = ranges.iter().any(|range| range.name != "*/*" && range.closeness(MediaType::EventStream).is_some());
    is_named && wish(&ranges, MediaType::EventStream).is_some()
}

/// Whether a client takes JSON lines (<https://jsonlines.org>): a JSON value in each line.
pub fn accepts_json_lines(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    ranges.is_empty() || wish(&ranges, MediaType::JsonLines).is_some()
}

/// Whether a body is JSON lines in UTF-8.
pub fn is_json_lines(headers: &HeaderMap) -> bool {
    is_utf8(headers, "application/jsonl")
}

/// Whether a body is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    is_utf8(headers, "application/json")
}

fn is_utf8(headers: &HeaderMap, media: &str) -> bool {
    let Some(content) = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()) else {
        return false;
    };
    let mut parts = content.split(';').map(|part| part.trim().to_ascii_lowercase());
    parts.next().as_deref() == Some(media)
        && parts
            .filter_map(|part| Some(part.strip_prefix("charset=")?.trim_matches('"').to_owned()))
            .all(|charset| charset == "utf-8" || charset == "utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_type_is_chosen() {
        use MediaType::{EventStream, GraphqlResponse, Json, JsonLines};
        let table = [
            (None, Some(Json)),
            (Some("*/*"), Some(Json)),
            (Some("application/json"), Some(Json)),
            (Some("application/graphql-response+json"), Some(GraphqlResponse)),
            (Some("application/graphql-response+json; charset=utf-8, application/json; q=0.9"), Some(GraphqlResponse)),
            (Some("application/json, application/graphql-response+json"), Some(Json)),
            (Some("application/json;q=0.5, application/graphql-response+json"), Some(GraphqlResponse)),
            (Some("text/html, */*;q=0.8"), Some(Json)),
            (Some("application/jsonl"), Some(JsonLines)),
            (Some("application/json;q=0.5, application/jsonl"), Some(JsonLines)),
            (Some("text/event-stream"), Some(EventStream)),
            (Some("text/event-stream, multipart/mixed"), Some(EventStream)),
            (Some("text/event-stream, */*"), Some(EventStream)),
            (Some("text/*"), Some(EventStream)),
            (Some("application/graphql-response+json, application/json, text/event-stream"), Some(GraphqlResponse)),
            (Some("application/json;q=0.8, text/event-stream;q=0.9"), Some(EventStream)),
            (Some("application/json;q=0.9, text/event-stream;q=0.8"), Some(Json)),
            (Some("application/json; q=0.2, application/*"), Some(GraphqlResponse)),
            (Some("application/json;q=0, */*;q=0.1"), Some(GraphqlResponse)),
            (Some("*/*, application/json;q=0.5"), Some(GraphqlResponse)),
            (Some("application/json;q=nan"), None),
            (Some("application/json;q=7, text/event-stream"), Some(Json)),
            (Some(""), Some(Json)),
            (Some("Text/Event-Stream;Q=0.5, APPLICATION/*;q=0.4"), Some(EventStream)),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
            (Some("application/json;q=x"), None),
        ];
        for (accept, chosen) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(accepted(&headers), chosen, "{accept:?}");
        }
    }

    #[test]
    fn events_are_taken_by_who_says_so() {
        let table = [
            (None, false),
            (Some("*/*"), false),
            (Some("text/event-stream"), true),
            (Some("text/*;q=0.1, application/json"), true),
            (Some("application/graphql-response+json, application/json, text/event-stream, multipart/mixed"), true),
            (Some("text/event-stream;q=0, */*"), false),
        ];
        for (accept, good) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(accepts_events(&headers), good, "{accept:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let table = [
            (None, false),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=UTF-8"), true),
            (Some("application/json; charset=\"utf-8\""), true),
            (Some("application/json; charset=latin1"), false),
            (Some("text/plain"), false),
            (Some("multipart/form-data; boundary=x"), false),
        ];
        for (content, good) in table {
            let mut headers = HeaderMap::new();
            if let Some(content) = content {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
            }
            assert_eq!(is_json(&headers), good, "{content:?}");
            assert!(!is_json_lines(&headers), "{content:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl; charset=utf-8"));
        assert!(is_json_lines(&headers) && !is_json(&headers));
    }

    #[test]
    fn json_lines_are_taken_by_who_says_so_or_nothing() {
        let table = [
            (None, true),
            (Some("application/jsonl"), true),
            (Some("text/html, */*;q=0.1"), true),
            (Some("Application/JSONL;q=0.5"), true),
            (Some("application/json"), false),
        ];
        for (accept, good) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(accepts_json_lines(&headers), good, "{accept:?}");
        }
    }
}
