//! HTTP endpoints that an app declares: a method, a path, and the action that answers.

use serde::{Deserialize, Serialize};

use crate::declarations::Function;

/// An action that answers HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What answers, under its exported name. It has no arguments and no result that GraphQL would know.
    pub function: Function,
    /// The method that it answers.
    pub method: HttpMethod,
    /// The paths that it answers.
    pub path: PathPattern,
}

/// The methods of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HttpMethod {
    /// Reads; also answers HEAD.
    Get,
    /// Does something.
    Post,
    /// Replaces something.
    Put,
    /// Changes something.
    Patch,
    /// Removes something.
    Delete,
}

impl HttpMethod {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// As HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The paths that an endpoint answers: `/hooks/pay`, `/files/:name`, where `:name` stands for one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPattern {
    /// As written.
    text: String,
}

/// What Weir itself answers, with all that is below.
const OWN: [&str; 7] = ["graphql", "schema.graphql", "admin", "healthz", "readyz", "metrics", "graphiql"];

/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 1_000;

/// Why a text is no path of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not a path.
    #[error("{0:?} is not a path: begin with `/`, and write letters, digits and `-._~` between slashes, or `:name`")]
    Malformed(String),
    /// Weir's own.
    #[error("{0:?} is a path that Weir itself answers")]
    Own(String),
    /// A name stands for two parts.
    #[error("{0:?} has two parameters of one name")]
    Repeated(String),
}

fn is_own(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| OWN.contains(&first))
}

impl PathPattern {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let malformed = || BadPath::Malformed(text.chars().take(200).collect());
        let rest = text.strip_prefix('/').filter(|_| text.len() <= PATH_BYTES_MAX).ok_or_else(malformed)?;
        if rest.is_empty() || is_own(text) {
            return Err(BadPath::Own(text.to_owned()));
        }
        let mut names = Vec::new();
        for part in rest.split('/') {
            let is_good = match part.strip_prefix(':') {
                Some(name) => {
                    if names.contains(&name) {
                        return Err(BadPath::Repeated(text.to_owned()));
                    }
                    names.push(name);
                    name.starts_with(|first: char| first.is_ascii_alphabetic())
                        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                }
                None => {
                    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                    !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_plain)
                }
            };
            if !is_good {
                return Err(malformed());
            }
        }
        Ok(Self { text: text.to_owned() })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same for all patterns that answer the same paths.
    pub fn shape(&self) -> String {
        let parts = self.text.split('/').map(|part| if part.starts_with(':') { ":" } else { part });
        parts.collect::<Vec<&str>>().join("/")
    }

    /// Which of its parts are parameters, in order.
    fn openness(&self) -> Vec<bool> {
        self.text.split('/').map(|part| part.starts_with(':')).collect()
    }

    /// The parameters of a path, by name and not decoded, if the pattern answers it.
    pub fn matches(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let mut given = path.split('/');
        let mut parameters = Vec::new();
        for part in self.text.split('/') {
            let found = given.next()?;
            match part.strip_prefix(':') {
                Some(name) if !found.is_empty() => parameters.push((name, found.to_owned())),
                None if part == found => {}
                _ => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed<'d> {
    /// To the endpoint at this place, with parameters.
    To(usize, Vec<(&'d str, String)>),
    /// The path has endpoints for these methods.
    Methods(Vec<HttpMethod>),
    /// The path has none.
    Nowhere,
}

/// Finds the endpoint of a request. Of two patterns that answer a path, the one goes first that is literal where they
/// differ first. What is below a path of Weir's own is no endpoint's.
pub fn route<'d>(endpoints: &'d [Endpoint], method: &str, path: &str) -> Routed<'d> {
    if is_own(path) {
        return Routed::Nowhere;
    }
    let found = endpoints.iter().enumerate();
    let found = found.filter_map(|(place, endpoint)| Some((place, endpoint, endpoint.path.matches(path)?)));
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(_, endpoint, _)| endpoint.path.openness());
    let mut methods: Vec<HttpMethod> = Vec::new();
    for (place, Endpoint { method: answers, .. }, parameters) in found {
        if answers.as_str() == method {
            return Routed::To(place, parameters);
        }
        if !methods.contains(answers) {
            methods.push(*answers);
        }
    }
    if methods.is_empty() { Routed::Nowhere } else { Routed::Methods(methods) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declarations::FunctionKind;
    use crate::shape::{Shape, Slot};

    #[test]
    fn paths_are_literal_or_have_parameters() {
        for good in ["/hooks/pay", "/a", "/files/:name", "/:a/:b", "/v1.0/~x_y-z", "/graphqls", "/a/graphql"] {
            assert_eq!(PathPattern::parse(good).map(|path| path.text), Ok(good.to_owned()));
        }
        for own in ["/", "/graphql", "/graphql/x", "/admin/x", "/healthz", "/metrics", "/schema.graphql"] {
            assert_eq!(PathPattern::parse(own), Err(BadPath::Own(own.to_owned())));
        }
        for bad in ["", "a", "/a/", "//a", "/a b", "/ä", "/a/../b", "/:", "/:1", "/a?b", "/%41", "/*", "/{a}"] {
            assert!(matches!(PathPattern::parse(bad), Err(BadPath::Malformed(_))), "{bad}");
        }
        assert_eq!(PathPattern::parse("/:a/:a"), Err(BadPath::Repeated("/:a/:a".to_owned())));
    }

    #[test]
    fn a_pattern_answers_paths_of_its_parts() {
        let matches = |pattern: &str, path: &str| {
            let pattern = PathPattern::parse(pattern).unwrap_or_else(|error| panic!("{error}"));
            let found = pattern.matches(path);
            found.map(|found| found.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>())
        };
        assert_eq!(matches("/hooks/pay", "/hooks/pay"), Some(String::new()));
        assert_eq!(matches("/f/:a/x/:b", "/f/1/x/2"), Some("a=1 b=2 ".to_owned()));
        for other in ["/hooks", "/hooks/pay/", "/hooks/pay/x", "/hooks/Pay", "hooks/pay"] {
            assert_eq!(matches("/hooks/pay", other), None, "{other}");
        }
        assert_eq!(matches("/f/:a", "/f/"), None);
    }

    fn endpoint(method: HttpMethod, path: &str) -> Endpoint {
        let function = Function {
            name: path.to_owned(),
            kind: FunctionKind::Action,
            description: None,
            module: "functions/a.ts".to_owned(),
            line: 1,
            arguments: Vec::new(),
            result: Slot::required(Shape::Json),
            keep: None,
            groups: None,
            index: None,
        };
        Endpoint { function, method, path: PathPattern::parse(path).unwrap_or_else(|error| panic!("{error}")) }
    }

    #[test]
    fn the_endpoint_of_a_path_does_not_depend_on_their_order() {
        let patterns = ["/:x/b", "/a/:x", "/:x/:y", "/a/b/c", "/:x"];
        let mut endpoints: Vec<Endpoint> = patterns.map(|path| endpoint(HttpMethod::Get, path)).into();
        endpoints.push(endpoint(HttpMethod::Post, "/a/:x"));
        let expected = [
            ("/a/b", Some("/a/:x")),
            ("/c/b", Some("/:x/b")),
            ("/c/d", Some("/:x/:y")),
            ("/a/b/c", Some("/a/b/c")),
            ("/graphqls", Some("/:x")),
            ("/graphql", None),
            ("/graphql/b", None),
            ("/admin", None),
            ("/admin/b", None),
            ("/metrics", None),
            ("/", None),
        ];
        for _ in 0..2 {
            for (path, pattern) in expected {
                let found = match route(&endpoints, "GET", path) {
                    Routed::To(place, _) => endpoints.get(place).map(|endpoint| endpoint.path.as_str()),
                    Routed::Methods(_) | Routed::Nowhere => None,
                };
                assert_eq!(found, pattern, "{path}");
            }
            endpoints.reverse();
        }
        assert_eq!(route(&endpoints, "PUT", "/a/1"), Routed::Methods(vec![HttpMethod::Get, HttpMethod::Post]));
    }
}
