//! Documents that are made to cost a server much, of about as many bytes as are asked for. They are for the shop of the
//! tests; none of them is ever to run.

/// Each with its name.
pub fn hostile_documents(bytes: usize) -> Vec<(&'static str, String)> {
    let repeat = |text: &str| text.repeat(bytes / text.len());
    let number = |part: &dyn Fn(usize) -> String| {
        let mut text = String::with_capacity(bytes + 64);
        for index in 0.. {
            if text.len() >= bytes {
                break;
            }
            text.push_str(&part(index));
        }
        text
    };
    vec![
        ("deep selections", repeat("{a")),
        ("deep lists", format!("{{ settings(key: {}", repeat("["))),
        ("deep objects", format!("{{ settings(key: {}", repeat("{a:"))),
        ("closed brackets", format!("{{ countOrders {}", repeat("}"))),
        ("unknown fields", format!("{{ {} }}", number(&|i| format!("nope{i} ")))),
        ("one field many times", format!("{{ {} }}", repeat("countOrders "))),
        ("one object many times", format!("{{ {} }}", repeat("order(id:1){id} "))),
        ("aliases", format!("{{ {} }}", number(&|i| format!("a{i}:countOrders ")))),
        ("aliases below", format!("{{ order(id: 1) {{ {} }} }}", number(&|i| format!("a{i}:id ")))),
        ("directives", format!("{{ countOrders {} }}", repeat("@skip(if:false) "))),
        ("unknown directives", format!("{{ countOrders {} }}", repeat("@a "))),
        ("declared variables", format!("query({}) {{ countOrders }}", number(&|i| format!("$v{i}:Int ")))),
        ("used variables", format!("query($v: Int) {{ settings(key: [{}]) }}", repeat("$v "))),
        ("arguments", format!("{{ ordersOf({}) {{ id }} }}", number(&|i| format!("a{i}:1 ")))),
        ("operations", number(&|i| format!("query Q{i}{{countOrders}} "))),
        ("operations with fragments", format!("{} {FRAGMENT}", number(&|i| format!("query Q{i}{{...F}} ")))),
        ("fragments", format!("{{ ...F0 }} {}", number(&|i| format!("fragment F{i} on Query{{...F{}}} ", i + 1)))),
        ("a fragment bomb", format!("{{ ...F0 }} {}", number(&|i| bomb(i)))),
        ("fragments in circles", format!("{{ ...F0 }} {}", number(&|i| circle(i)))),
        ("spreads of one fragment", format!("{{ {} }} {FRAGMENT}", repeat("...F "))),
        ("inline fragments", format!("{{ {} }}", repeat("...{countOrders} "))),
        ("overlapping fields", format!("{{ lastTransfer {{ {} }} }}", number(&overlap))),
        ("a long name", format!("{{ {} }}", repeat("x"))),
        ("a long number", format!("{{ settings(key: {}) }}", repeat("7"))),
        ("a long string", format!("{{ settings(key: \"{}\") }}", repeat("x"))),
        ("escapes", format!("{{ settings(key: \"{}\") }}", repeat("\\u0041"))),
        ("surrogates", format!("{{ settings(key: \"{}\") }}", repeat("\\ud83d\\ude00"))),
        ("half surrogates", format!("{{ settings(key: \"{}\") }}", repeat("\\ud83d"))),
        ("a block string", format!("{{ settings(key: \"\"\"{}\"\"\") }}", repeat(" \n"))),
        ("quotes", format!("{{ settings(key: {}) }}", repeat("\"\""))),
        ("a comment", format!("#{}\n{{ countOrders }}", repeat("{"))),
        ("comments", format!("{} {{ countOrders }}", repeat("#\n"))),
        ("commas", format!("{} {{ countOrders }}", repeat(","))),
        ("letters of other scripts", format!("{{ {} }}", repeat("ß"))),
        ("characters of four bytes", format!("{{ settings(key: \"{}\") }}", repeat("😀"))),
        ("nothing", repeat(" ")),
        ("punctuation", repeat("!")),
        ("zeros", repeat("\0")),
    ]
}

const FRAGMENT: &str = "fragment F on Query{countOrders}";

fn bomb(i: usize) -> String {
    format!("fragment F{i} on Query{{a:countOrders ...F{0} ...F{0} ...F{0}}} ", i + 1)
}

fn circle(i: usize) -> String {
    format!("fragment F{i} on Query{{...F{} ...F0}} ", i + 1)
}

fn overlap(i: usize) -> String {
    format!("... on Done{{x{i}:balance}} ... on Refused{{x{i}:reason}} ")
}
