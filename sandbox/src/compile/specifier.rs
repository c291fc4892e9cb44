//! What an import specifier means: the module "weir", another file of the app, or a mistake.

use super::sources::Sources;

/// Where an import leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// The module "weir".
    Weir,
    /// A file of the app, by its path.
    File(&'a str),
    /// Nowhere; a diagnostic tells so.
    Lost,
}

/// Why an import leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// A bare name, a scheme or an absolute path.
    Package,
    /// A relative path that climbs out of the app folder.
    Outside,
    /// No such file; these paths were tried.
    NotFound(Vec<String>),
}

/// Finds the file behind a specifier as the editor would: `./a` is `a.ts` or `a/index.ts`, `./a.js` is `a.ts`.
pub(super) fn resolve<'a>(sources: &'a Sources, from: &str, specifier: &str) -> Result<Target<'a>, Lost> {
    if specifier == "weir" {
        return Ok(Target::Weir);
    }
    if !(specifier.starts_with("./") || specifier.starts_with("../") || specifier == "." || specifier == "..") {
        return Err(Lost::Package);
    }
    let mut folders: Vec<&str> = from.split('/').collect();
    folders.pop();
    for part in specifier.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                folders.pop().ok_or(Lost::Outside)?;
            }
            name => folders.push(name),
        }
    }
    let path = folders.join("/");
    let candidates = match path.strip_suffix(".js") {
        Some(stem) => vec![format!("{stem}.ts")],
        None if path.ends_with(".ts") => vec![path],
        None if path.is_empty() => vec!["index.ts".to_owned()],
        None => vec![format!("{path}.ts"), format!("{path}/index.ts")],
    };
    let found = candidates.iter().find_map(|candidate| sources.entry(candidate));
    found.map(|(path, _)| Target::File(path)).ok_or(Lost::NotFound(candidates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_lead_to_files_of_the_app() {
        let paths = ["collections.ts", "functions/orders.ts", "lib/index.ts", "lib/money.ts"];
        let sources = Sources::from_texts(paths.map(|path| (path.to_owned(), String::new())));
        let not_found = |tried: &[&str]| Err(Lost::NotFound(tried.iter().map(|&path| path.to_owned()).collect()));
        let table = [
            ("weir", Ok(Target::Weir)),
            ("../collections", Ok(Target::File("collections.ts"))),
            ("../collections.ts", Ok(Target::File("collections.ts"))),
            ("../collections.js", Ok(Target::File("collections.ts"))),
            ("./orders", Ok(Target::File("functions/orders.ts"))),
            ("../lib", Ok(Target::File("lib/index.ts"))),
            (".././lib//money", Ok(Target::File("lib/money.ts"))),
            ("./missing", not_found(&["functions/missing.ts", "functions/missing/index.ts"])),
            ("../../shop/collections", Err(Lost::Outside)),
            ("lodash", Err(Lost::Package)),
            ("node:fs", Err(Lost::Package)),
            ("https://esm.sh/lodash", Err(Lost::Package)),
            ("/collections", Err(Lost::Package)),
        ];
        for (specifier, expected) in table {
            assert_eq!(resolve(&sources, "functions/orders.ts", specifier), expected, "{specifier}");
        }
    }
}
