//! Frames from text: `eth(dst=..)/ip(ttl=1)/icmp/"data"`.
//!
//! Layers stand from outside to inside. Every field is automatic unless it is given: addresses are
//! those of the two ends, types say what follows, lengths and checksums are right. A field that is given
//! goes out as it is, so that a frame may lie in any of them. Fields are named as the tree of a dissected
//! frame names them. Outer layers that are left out are added: `icmp` is `eth/ip/icmp`.
//!
//! [`Recipe::parse`] understands the text, [`Recipe::frame`] makes the bytes. Nothing is read and no
//! chance is used here: the caller hands in what files hold and where chance comes from.

mod appended;
mod automatic;
mod close;
mod entries;
mod kind;
mod kinds;
mod layer;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use rand::Rng;

pub use automatic::{End, Ends, link_local, solicited_node};
use layer::{Excess, Layer};
use parse::{Data, What};

use crate::mistake::{Mistake, near};

/// A part of a frame.
#[derive(Clone)]
enum Part {
    Layer(Box<Layer>),
    Data(Data),
}

/// How a frame is to be made.
#[derive(Clone)]
pub struct Recipe {
    parts: Vec<Part>,
}

/// Reads a file; or says why not, as a fragment of a sentence.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// The longest frame that is made.
pub const MAX_FRAME: usize = 65_535;

/// More in the field of an 802.3 length is no length (IEEE 802.3 section 3.2.6).
const MOST_OF_LLC: u128 = 1500;

impl Recipe {
    /// What `text` says.
    pub fn parse(text: &str, read: Read<'_>) -> Result<Recipe, Mistake> {
        Recipe::understand(text, read).map_err(|mistake| mistake.within(text))
    }

    fn understand(text: &str, read: Read<'_>) -> Result<Recipe, Mistake> {
        let mut parts = Vec::new();
        for part in parse::parts(text)? {
            parts.push(match part.what {
                What::Data(data) => Part::Data(contents(data, part.at, read)?),
                What::Layer(name, fields) => {
                    let kind = kinds::by_name(name)
                        .ok_or_else(|| parse::unknown_layer(name, part.at, kinds::names()))?;
                    let mut layer = Layer::new(kind);
                    for field in &fields {
                        layer.set(field)?;
                    }
                    if let Some(trailer) = layer.trailer.take() {
                        layer.trailer = Some(contents(trailer, part.at, read)?);
                    }
                    Part::Layer(Box::new(layer))
                }
            });
        }
        let mut recipe = Recipe { parts };
        recipe.stand_upon();
        Ok(recipe)
    }

    /// A frame of these bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Recipe {
        Recipe { parts: vec![Part::Data(Data::Bytes(bytes))] }
    }

    /// Adds the layers below the first.
    fn stand_upon(&mut self) {
        while let Some(Part::Layer(first)) = self.parts.first()
            && let Some(below) = first.kind.below.and_then(kinds::by_name)
        {
            self.parts.insert(0, Part::Layer(Box::new(Layer::new(below))));
        }
    }

    /// Whether it consists of layers, so that its fields can be changed.
    pub fn has_layers(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Layer(_)))
    }

    /// Whether chance has a say in it.
    pub fn uses_chance(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Layer(layer) => matches!(layer.trailer, Some(Data::Random(_))),
            Part::Data(data) => matches!(data, Data::Random(_)),
        })
    }

    /// Puts data behind everything else.
    pub fn append(&mut self, data: Vec<u8>) {
        if !data.is_empty() {
            self.parts.push(Part::Data(Data::Bytes(data)));
        }
    }

    /// Makes a checksum wrong: that of the layer `name`, or the innermost one of the packet itself.
    pub fn spoil_checksum(&mut self, name: Option<&str>) -> Result<(), String> {
        let mut found = None;
        for (n, part) in self.parts.iter().enumerate() {
            let Part::Layer(layer) = part else { continue };
            if layer.checksum().is_some() && name.is_none_or(|name| layer.is_called(name)) {
                found = Some(n);
            }
            if layer.name().starts_with("icmp") {
                break; // what it quotes is another packet's
            }
        }
        match found.and_then(|n| self.parts.get_mut(n)) {
            Some(Part::Layer(layer))
                if layer.checksum().is_some_and(|slot| layer.has(slot.name)) =>
            {
                let name = layer.name();
                Err(format!(
                    "the checksum of {name} is given, and goes out as it is: leave one of the two out"
                ))
            }
            Some(Part::Layer(layer)) => {
                layer.is_spoiled = true;
                Ok(())
            }
            _ => Err(self.without_checksum(name)),
        }
    }

    /// Why there is no such checksum.
    fn without_checksum(&self, name: Option<&str>) -> String {
        let mut layers = self.parts.iter().filter_map(|part| match part {
            Part::Layer(layer) => Some(&**layer),
            Part::Data(_) => None,
        });
        let Some(first) = layers.next() else {
            return "a frame that is given as bytes goes out as it is".to_owned();
        };
        let Some(name) = name else {
            return "the frame has no layer with a checksum".to_owned();
        };
        let is_called = |layer: &&Layer| layer.is_called(name) && layer.checksum().is_none();
        if let Some(layer) = std::iter::once(first).chain(layers).find(is_called) {
            return format!("{} has no checksum", layer.name());
        }
        let known = kinds::by_name(name);
        let hint = near(name, kinds::names()).filter(|_| known.is_none());
        let hint = hint.map(|meant| format!("; did you mean '{meant}'?"));
        format!("the frame has no checksum of '{name}'{}", hint.unwrap_or_default())
    }

    /// Puts a tag of this VLAN behind the Ethernet addresses, if it begins with such.
    pub fn tag(&mut self, vid: u16) -> Result<(), String> {
        match self.parts.first_mut() {
            Some(Part::Layer(first)) if first.name() == "ethernet" => {
                if let Some(kind) = kinds::by_name("vlan") {
                    let mut layer = Layer::new(kind);
                    layer.fill("vid", vid);
                    layer.given.insert("vid");
                    self.parts.insert(1, Part::Layer(Box::new(layer)));
                }
            }
            Some(Part::Data(Data::Bytes(bytes))) if bytes.len() >= 12 => {
                let [high, low] = (vid & 0xfff).to_be_bytes();
                bytes.splice(12..12, [0x81, 0, high, low]);
            }
            _ => return Err("the frame does not begin with Ethernet addresses".to_owned()),
        }
        Ok(())
    }

    /// Changes one field that chance chooses to a value that chance chooses; says which.
    pub fn mutate(&mut self, random: &mut impl Rng) -> Option<String> {
        use rand::RngExt;
        let layers: Vec<usize> = (0..self.parts.len())
            .filter(
                |n| matches!(&self.parts[*n], Part::Layer(layer) if !layer.kind.slots.is_empty()),
            )
            .collect();
        let chosen = *layers.get(random.random_range(0..layers.len().max(1)))?;
        let Some(Part::Layer(layer)) = self.parts.get_mut(chosen) else { return None };
        let slots = layer.kind.slots;
        let slot = slots.get(random.random_range(0..slots.len()))?;
        let interesting = [0, 1, slot.max(), slot.max() / 2, slot.max().saturating_sub(1)];
        let value = match random.random_range(0..3) {
            0 => interesting[random.random_range(0..interesting.len())],
            _ => random.random::<u128>() & slot.max(),
        };
        layer.given.remove(slot.name);
        layer.fill(slot.name, value);
        layer.given.insert(slot.name);
        Some(format!("{}.{} = 0x{value:x}", layer.name(), slot.name))
    }

    /// The bytes, between these ends.
    pub fn frame(&self, ends: &Ends, random: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.build(ends, random).0;
        bytes.truncate(MAX_FRAME);
        bytes
    }

    /// The same, unless an automatic length does not fit into its field, or all of it into no frame; says
    /// so, as a fragment of a sentence.
    pub fn checked_frame(&self, ends: &Ends, random: &mut impl Rng) -> Result<Vec<u8>, String> {
        match self.build(ends, random) {
            (_, Some(excess)) => Err(excess.to_string()),
            (bytes, None) if bytes.len() > MAX_FRAME => {
                let length = bytes.len();
                Err(format!("it has {length} bytes, and a frame at most {MAX_FRAME}: shorten it"))
            }
            (bytes, None) => Ok(bytes),
        }
    }

    /// The bytes, however many, and what does not fit.
    fn build(&self, ends: &Ends, random: &mut impl Rng) -> (Vec<u8>, Option<Excess>) {
        let mut parts = self.parts.clone();
        automatic::settle(&mut parts, ends);
        let (mut bytes, mut excess) = (Vec::new(), None);
        for n in (0..parts.len()).rev() {
            match &parts[n] {
                Part::Data(data) => {
                    let mut all = made(data, random);
                    all.extend(bytes);
                    bytes = all;
                }
                Part::Layer(layer) => {
                    let mut layer = (**layer).clone();
                    let trailer = layer.trailer.take().map(|data| made(&data, random));
                    if layer.name() == "ethernet" && is_llc(parts.get(n + 1)) {
                        layer.fill_length("type", bytes.len(), Some(MOST_OF_LLC));
                    }
                    let (whole, more) = close::close(layer, bytes, close::pseudo(&parts, n));
                    (bytes, excess) = (whole, excess.or(more));
                    bytes.extend(trailer.unwrap_or_default());
                }
            }
        }
        (bytes, excess)
    }
}

fn is_llc(part: Option<&Part>) -> bool {
    matches!(part, Some(Part::Layer(layer)) if layer.name() == "llc")
}

/// Data, with what its file holds.
fn contents(data: Data, at: usize, read: Read<'_>) -> Result<Data, Mistake> {
    match data {
        Data::File(path) => match read(&path) {
            Ok(bytes) if bytes.len() <= parse::MAX_DATA => Ok(Data::Bytes(bytes)),
            Ok(bytes) => Err(Mistake::new(
                at,
                format!("'{path}' holds {} bytes; a frame has at most {MAX_FRAME}", bytes.len()),
            )),
            Err(why) => Err(Mistake::new(at, format!("cannot read '{path}': {why}"))),
        },
        data => Ok(data),
    }
}

fn made(data: &Data, random: &mut impl Rng) -> Vec<u8> {
    match data {
        Data::Bytes(bytes) => bytes.clone(),
        Data::Random(count) => {
            let mut bytes = vec![0; *count];
            random.fill_bytes(&mut bytes);
            bytes
        }
        Data::File(_) => Vec::new(), // read when the text was understood
    }
}

/// The layers, or the fields of one: a line each.
pub fn describe(name: Option<&str>) -> Result<Vec<String>, String> {
    let Some(name) = name else {
        return Ok(kinds::ALL.iter().map(|kind| describe_kind(kind)).collect());
    };
    let kind = kinds::by_name(name).ok_or_else(|| match near(name, kinds::names()) {
        Some(meant) => format!("there is no layer '{name}'; did you mean '{meant}'?"),
        None => format!("there is no layer '{name}'; '--list' alone shows them"),
    })?;
    let aliases = |aliases: &[&str]| match aliases {
        [] => String::new(),
        aliases => format!(" (or {})", aliases.join(", ")),
    };
    let mut lines =
        vec![format!("{}: {}", describe_kind(kind), "fields, each automatic unless given")];
    for slot in kind.slots {
        let name = format!("{}{}", slot.name, aliases(slot.aliases));
        lines.push(format!("  {name:32} {}", value::says(slot)));
    }
    for choice in kind.options {
        let says = match choice.size {
            Some(0) => "no value".to_owned(),
            _ => value::says(&choice.slot),
        };
        lines.push(format!("  {:32} {says}", choice.name));
    }
    for name in entries::names(kind) {
        lines.push(format!("  {name}"));
    }
    if !matches!(kind.style, kind::Style::None | kind::Style::Plain | kind::Style::Dns) {
        lines.push(format!("  {:32} any option: its code, and hex bytes", "option.N"));
        lines.push(format!("  {:32} hex bytes in place of options", "options"));
    }
    lines.push(format!("  {:32} bytes behind it that no length counts", "trailer"));
    Ok(lines)
}

fn describe_kind(kind: &kind::Kind) -> String {
    let names: Vec<&str> =
        std::iter::once(kind.name()).chain(kind.aliases.iter().copied()).collect();
    format!("{:28} {}", names.join(", "), kind.protocol.title)
}
