//! Which index answers a scan, and which of its keys. Pure.
//!
//! Equalities, in any order, must be the leading fields of the index; a range may follow on the next field; the order
//! may be that of the next field, of a field with an equality (which orders nothing), or of the ids once all fields
//! have equalities. Of several indexes that fit, the shortest is taken, of equal ones the first declared.

use serde_json::Value;
use weir_schema::codec::component;
use weir_schema::codec::key::{self, IndexField, IndexNumber, Key};

use crate::catalog::{Collection, Index, IndexState};
use crate::error::ScanError;
use crate::position::{BadCursor, Position};
use crate::read_set::Interval;
use crate::scan::{Direction, End, Range, Scan};

/// The member that every document has and no index names.
const ID: &str = "id";

/// How to read what a scan asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    /// What the keys of the source start with; positions do without it.
    pub(crate) prefix: Key,
    /// What all keys of the scan start with, its equalities included.
    pub(crate) fixed: Key,
    pub(crate) interval: Interval,
    /// The interval holds one key at most.
    pub(crate) is_point: bool,
    /// In which the keys are walked.
    pub(crate) direction: Direction,
    /// What the position cuts off from which rows are taken.
    pub(crate) others: Option<Interval>,
}

/// The keys that are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Documents by id.
    Documents,
    /// Entries of an index of so many fields.
    Index { number: IndexNumber, fields: usize },
}

/// Chooses the index and works out the interval of keys.
pub(crate) fn plan(name: &str, collection: &Collection, scan: &Scan) -> Result<Plan, ScanError> {
    let query = Query { name, collection, scan, range: scan.range.as_ref() };
    query.check_fields()?;
    let mut plan = if query.is_by_id()? { query.by_id()? } else { query.by_index()? };
    query.cut(&mut plan)?;
    Ok(plan)
}

/// The fields of the index that a scan would walk, the most significant first; none where it walks the documents.
pub(crate) fn fields(name: &str, collection: &Collection, scan: &Scan) -> Result<Vec<String>, ScanError> {
    let plan = plan(name, collection, &Scan { after: None, before: None, ..scan.clone() })?;
    let Source::Index { number, .. } = plan.source else { return Ok(Vec::new()) };
    let index = collection.indexes.iter().find(|index| index.number == number);
    Ok(index.map(Index::field_names).unwrap_or_default())
}

impl Plan {
    /// How to look, from the position on, at what it cuts off.
    pub(crate) fn to_others(&self) -> Option<Self> {
        let others = self.others.clone()?;
        Some(Self { interval: others, direction: self.direction.opposite(), others: None, ..self.clone() })
    }
}

struct Query<'a> {
    name: &'a str,
    collection: &'a Collection,
    scan: &'a Scan,
    range: Option<&'a Range>,
}

impl Query<'_> {
    fn check_fields(&self) -> Result<(), ScanError> {
        let mut equal = Vec::new();
        for (field, _) in &self.scan.equal {
            self.check_field(field)?;
            if equal.contains(&field) {
                return Err(self.combination(format!("where(\"{field}\") stands twice; keep one")));
            }
            equal.push(field);
        }
        if let Some(range) = self.range {
            self.check_field(&range.field)?;
            if equal.contains(&&range.field) {
                let field = &range.field;
                return Err(self.combination(format!("\"{field}\" has both where and range; keep one")));
            }
        }
        match &self.scan.order {
            Some((field, _)) => self.check_field(field),
            None => Ok(()),
        }
    }

    fn check_field(&self, field: &str) -> Result<(), ScanError> {
        if field == ID {
            return Ok(());
        }
        let collection = self.name.to_owned();
        let field = field.to_owned();
        match self.collection.fields.get(&field) {
            None => Err(ScanError::UnknownField { collection, field }),
            Some(kind) => match kind.order() {
                Ok(_) => Ok(()),
                Err(kind) => Err(ScanError::NotIndexable { collection, field, kind }),
            },
        }
    }

    fn combination(&self, message: String) -> ScanError {
        ScanError::Combination { collection: self.name.to_owned(), message }
    }

    fn direction(&self) -> Direction {
        self.scan.order.as_ref().map_or(Direction::Asc, |(_, direction)| *direction)
    }

    fn order_field(&self) -> Option<&str> {
        self.scan.order.as_ref().map(|(field, _)| field.as_str())
    }

    /// Whether the documents themselves are walked. Narrowing by `id` and by fields does not go together.
    fn is_by_id(&self) -> Result<bool, ScanError> {
        let by_id =
            self.scan.equal.iter().any(|(field, _)| field == ID) || self.range.is_some_and(|range| range.field == ID);
        let by_field = self.scan.equal.iter().any(|(field, _)| field != ID)
            || self.range.is_some_and(|range| range.field != ID)
            || self.order_field().is_some_and(|field| field != ID && by_id);
        if by_id && by_field {
            return Err(self.combination("\"id\" cannot be combined with other fields; filter the result".to_owned()));
        }
        Ok(by_id || (!by_field && self.order_field().is_none_or(|field| field == ID)))
    }

    fn by_id(&self) -> Result<Plan, ScanError> {
        let prefix = key::documents(self.collection.number);
        let text = |value: &Value| {
            let mut key = prefix.clone();
            value.as_str().map(|id| key.extend_from_slice(id.as_bytes()))?;
            Some(key)
        };
        let nothing = || Interval { start: prefix.clone(), end: prefix.clone() };
        let mut interval = Interval::prefix(prefix.clone());
        if let Some((_, value)) = self.scan.equal.first() {
            interval = text(value).filter(|key| *key != prefix).map_or_else(nothing, Interval::point);
        }
        for (edge, bound) in self.bounds()? {
            match text(bound) {
                Some(key) => edge.cut(&mut interval, key, key::successor),
                None => interval = nothing(),
            }
        }
        let is_point = !self.scan.equal.is_empty();
        let fixed = prefix.clone();
        let (source, direction) = (Source::Documents, self.direction());
        Ok(Plan { source, prefix, fixed, interval, is_point, direction, others: None })
    }

    fn by_index(&self) -> Result<Plan, ScanError> {
        let ready =
            self.collection.indexes.iter().filter(|index| index.state == IndexState::Ready && index.ids.is_none());
        let fitting = ready.filter(|index| self.fits(index)).min_by_key(|index| index.fields.len());
        let index = fitting.ok_or_else(|| self.no_index())?;
        let prefix = index.prefix(self.collection.number);
        let equal = self.scan.equal.len();
        let mut fixed = prefix.clone();
        let mut has_null = false;
        for field in index.fields.iter().take(equal) {
            let value = self.equal_value(&field.name);
            has_null |= value.is_null();
            self.encode(&mut fixed, value, field)?;
        }
        let is_point = index.unique && !has_null && equal == index.fields.len();
        let mut interval = if is_point { Interval::point(fixed.clone()) } else { Interval::prefix(fixed.clone()) };
        if let Some(field) = index.fields.get(equal) {
            for (edge, bound) in self.bounds()? {
                let mut key = fixed.clone();
                self.encode(&mut key, bound, field)?;
                edge.cut(&mut interval, key, key::after_prefix);
                let mut nulls = fixed.clone();
                nulls.push(component::TAG_NULL);
                Edge::Gt.cut(&mut interval, nulls, key::after_prefix);
            }
        }
        let source = Source::Index { number: index.number, fields: index.fields.len() };
        Ok(Plan { source, prefix, fixed, interval, is_point, direction: self.direction(), others: None })
    }

    fn encode(&self, key: &mut Key, value: &Value, field: &IndexField) -> Result<(), ScanError> {
        component::encode(key, value, field.order).map_err(|source| ScanError::BadValue {
            collection: self.name.to_owned(),
            field: field.name.clone(),
            source,
        })
    }

    /// The bounds of the range that are there.
    fn bounds(&self) -> Result<Vec<(Edge, &Value)>, ScanError> {
        let Some(range) = self.range else { return Ok(Vec::new()) };
        let all = [(Edge::Gt, &range.gt), (Edge::Gte, &range.gte), (Edge::Lt, &range.lt), (Edge::Lte, &range.lte)];
        let given: Vec<_> = all.into_iter().filter_map(|(edge, bound)| Some((edge, bound.as_ref()?))).collect();
        if given.iter().any(|(_, bound)| bound.is_null()) {
            return Err(ScanError::NullBound { collection: self.name.to_owned(), field: range.field.clone() });
        }
        Ok(given)
    }

    fn equal_value(&self, field: &str) -> &Value {
        self.scan.equal.iter().find(|(name, _)| name == field).map_or(&Value::Null, |(_, value)| value)
    }

    fn fits(&self, index: &Index) -> bool {
        let equal = self.scan.equal.len();
        let has_equality = |field: &str| self.scan.equal.iter().any(|(name, _)| name == field);
        let leading = index.fields.len() >= equal && index.fields.iter().take(equal).all(|f| has_equality(&f.name));
        let next = index.fields.get(equal).map(|field| field.name.as_str());
        let ranged = self.range.is_none_or(|range| next == Some(range.field.as_str()));
        let ordered = match self.order_field() {
            None => true,
            Some(ID) => next.is_none(),
            Some(field) => next == Some(field) || has_equality(field),
        };
        leading && ranged && ordered
    }

    /// Says which index to declare, or that none can serve.
    fn no_index(&self) -> ScanError {
        let mut fields: Vec<&str> = self.scan.equal.iter().map(|(field, _)| field.as_str()).collect();
        let mut asked: Vec<String> = fields.iter().map(|field| format!("where(\"{field}\")")).collect();
        if let Some(range) = self.range {
            asked.push(format!("range(\"{}\")", range.field));
            fields.push(&range.field);
        }
        if let Some(order) = self.order_field() {
            asked.push(format!("orderBy(\"{order}\")"));
            let has_equality = self.scan.equal.iter().any(|(field, _)| field == order);
            if !has_equality && self.range.is_some_and(|range| range.field != order) {
                return self.combination(format!(
                    "{} cannot be answered by one index: order by the field of the range, or sort the result",
                    asked.join(".")
                ));
            }
            if !fields.contains(&order) && order != ID {
                fields.push(order);
            }
        }
        let quoted: Vec<String> = fields.iter().map(|field| format!("\"{field}\"")).collect();
        let declare = if quoted.len() > 1 { format!("[{}]", quoted.join(", ")) } else { quoted.concat() };
        ScanError::NoIndex { collection: self.name.to_owned(), asked: asked.join("."), declare }
    }

    /// Narrows a plan to what is between the positions, and turns it to the end that is asked for.
    fn cut(&self, plan: &mut Plan) -> Result<(), ScanError> {
        let whole = plan.interval.clone();
        let direction = plan.direction;
        for (end, position) in [(End::First, &self.scan.after), (End::Last, &self.scan.before)] {
            let Some(position) = position else { continue };
            let key = self.key_of(plan, position)?;
            // The position itself is left out of what is read.
            let (rest, cut_off) = match (end, direction) {
                (End::First, Direction::Asc) | (End::Last, Direction::Desc) => (Edge::Gt, Edge::Lte),
                (End::First, Direction::Desc) | (End::Last, Direction::Asc) => (Edge::Lt, Edge::Gte),
            };
            rest.cut(&mut plan.interval, key.clone(), key::successor);
            if end == self.scan.from {
                let mut others = whole.clone();
                cut_off.cut(&mut others, key, key::successor);
                plan.others = Some(others);
            }
        }
        if self.scan.from == End::Last {
            plan.direction = direction.opposite();
        }
        Ok(())
    }

    fn key_of(&self, plan: &Plan, position: &Position) -> Result<Key, ScanError> {
        let index = match plan.source {
            Source::Documents => None,
            Source::Index { number, .. } => Some(number),
        };
        if position.collection != self.collection.number || position.index != index {
            return Err(BadCursor::Foreign.into());
        }
        let mut key = plan.prefix.clone();
        key.extend_from_slice(&position.suffix);
        if key.starts_with(&plan.fixed) { Ok(key) } else { Err(BadCursor::Foreign.into()) }
    }
}

/// One bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Edge {
    /// Narrows the interval; `next` gives the first key past all that hold the bound's own value.
    fn cut(self, interval: &mut Interval, key: Key, next: fn(&[u8]) -> Key) {
        let at = match self {
            Self::Gte | Self::Lt => key,
            Self::Gt | Self::Lte => next(&key),
        };
        match self {
            Self::Gt | Self::Gte if at > interval.start => interval.start = at,
            Self::Lt | Self::Lte if at < interval.end => interval.end = at,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
