//! [`Expr`] -> [`Tree`]: which bytes a statement is about, in which order they are looked at.
//!
//! The order is tcpdump's, since a frame that ends too early is rejected by the first test that
//! misses a byte. So are the offsets: `vlan` moves those of everything behind it in the text by
//! four bytes, `tcp port` knows IPv6 without extension headers, `tcp[...]` IPv4 alone, and neither
//! looks into a fragment that is not the first.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expr::{Arith, Connective, Expr, Operator, Primitive, Relation, Side, Transports};
use super::link::{CARRIERS, Link};
use super::program::{Computed, Is, Size, Source, Step, Tables, Test, Tree, steps};
use super::words::{IPV4, IPV6, Key, Known, Versions};
use crate::record::Direction;

/// The EtherTypes of VLAN tags (IEEE 802.1Q, 802.1ad, and one from before the latter).
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// The bytes of an IPv6 header.
const IPV6_HEADER: u32 = 40;
/// The IPv6 next header of a fragment.
const FRAGMENT: u32 = 44;

/// What a filter is compiled for, and what has been compiled so far.
pub(super) struct Compiler {
    link: Link,
    /// Bytes of VLAN tags in front of what comes.
    shift: u32,
    tables: Tables,
}

/// The tests of a filter on frames of `link`.
pub(super) fn compile(expr: &Expr, link: Link) -> (Tree, Tables) {
    let mut compiler = Compiler { link, shift: 0, tables: Tables::default() };
    let tree = compiler.expr(expr);
    (tree, compiler.tables)
}

impl Compiler {
    fn expr(&mut self, expr: &Expr) -> Tree {
        match expr {
            Expr::Primitive(primitive) => self.primitive(primitive),
            Expr::Not(inner) => Tree::not(self.expr(inner)),
            Expr::Chain(first, rest) => {
                let first = Box::new(self.expr(first));
                let rest = rest
                    .iter()
                    .map(|(connective, next)| (*connective == Connective::And, self.expr(next)));
                Tree::Chain(first, rest.collect())
            }
        }
    }

    fn primitive(&mut self, primitive: &Primitive) -> Tree {
        match primitive {
            Primitive::Everything => Tree::constant(true),
            Primitive::Is(known) => self.is(known),
            Primitive::Net4 { within, side, address, mask } => {
                self.net4(*within, *side, *address, *mask)
            }
            Primitive::Net6 { side, address, bits } => self.net6(*side, *address, *bits),
            Primitive::Mac { side, address } => self.mac(*side, *address),
            Primitive::Port { over, side, range, port } => self.port(*over, *side, *port, *range),
            Primitive::EtherProto(number) => self.kind(*number),
            Primitive::IpProto(versions, number) => self.ip_protocol(*versions, *number),
            Primitive::Broadcast => self.mac(Side::Destination, [0xff; 6]),
            Primitive::IpBroadcast => {
                let is = |address| Tree::from(self.equal(16, Size::Four, address));
                self.kind(IPV4).and(Tree::Any(vec![is(0), is(u32::MAX)]))
            }
            Primitive::Multicast => {
                self.if_ethernet(Tree::not(Test::masked(0, Size::One, 1, 0).into()))
            }
            Primitive::IpMulticast(Versions::Six) => {
                self.kind(IPV6).and(self.equal(24, Size::One, 0xff).into())
            }
            Primitive::IpMulticast(_) => {
                let class = Test::at_least(self.payload() + 16, Size::One, 0xe0);
                self.kind(IPV4).and(class.into())
            }
            Primitive::Vlan(id) => self.vlan(*id),
            Primitive::Relation { left, relation, right } => self.relation(left, *relation, right),
            Primitive::Direction(Direction::Unknown) => Tree::FALSE,
            Primitive::Direction(direction) => Test::Direction(*direction).into(),
            Primitive::Malformed => Test::Malformed.into(),
            Primitive::Console => Tree::FALSE,
            Primitive::Layer(protocol) => {
                self.tables.layers.push(protocol);
                Test::Layer(self.tables.layers.len() as u32 - 1).into()
            }
            Primitive::Field(test) => {
                self.tables.fields.push(test.clone());
                Test::Field(self.tables.fields.len() as u32 - 1).into()
            }
        }
    }

    /// Where the packet begins.
    fn payload(&self) -> u32 {
        self.link.payload() + self.shift
    }

    fn equal(&self, at: u32, size: Size, value: u32) -> Test {
        Test::equal(self.payload() + at, size, value)
    }

    fn kind(&self, number: u32) -> Tree {
        self.link.is_type(number, self.shift)
    }

    fn if_ethernet(&self, tree: Tree) -> Tree {
        if self.link == Link::Ethernet { tree } else { Tree::FALSE }
    }

    fn is(&self, known: &Known) -> Tree {
        match known.key {
            Key::Link => Tree::constant(true),
            Key::EtherType(number) => self.kind(number),
            Key::Ip(number, versions) => self.ip_protocol(versions, number.into()),
        }
    }

    fn ip_protocol(&self, versions: Versions, number: u32) -> Tree {
        let next = |at, number| Tree::from(self.equal(at, Size::One, number));
        let four = || self.kind(IPV4).and(next(9, number));
        let six = || {
            let behind = next(6, FRAGMENT).and(next(IPV6_HEADER, number));
            self.kind(IPV6).and(Tree::Any(vec![next(6, number), behind]))
        };
        match versions {
            Versions::Both => Tree::Any(vec![four(), six()]),
            Versions::Four => four(),
            Versions::Six => six(),
        }
    }

    fn net4(&self, within: Option<&Known>, side: Side, address: Ipv4Addr, mask: Ipv4Addr) -> Tree {
        let carriers =
            CARRIERS.iter().filter(|(name, ..)| within.is_none_or(|known| known.name == *name));
        let each = carriers.map(|(_, number, source, destination)| {
            let at = |at: u32| {
                let at = self.payload() + at;
                Tree::from(Test::masked(at, Size::Four, mask.into(), address.into()))
            };
            self.kind(*number).and(sides(side, || at(*source), || at(*destination)))
        });
        Tree::Any(each.collect())
    }

    fn net6(&self, side: Side, address: Ipv6Addr, bits: u8) -> Tree {
        let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
        let word = |number: u128, n: u32| (number >> (96 - 32 * n)) as u32;
        let at = |at: u32| {
            let words = (0..4).map(|n| {
                let at = self.payload() + at + 4 * n;
                Test::masked(at, Size::Four, word(mask, n), word(address.into(), n)).into()
            });
            Tree::All(words.collect())
        };
        self.kind(IPV6).and(sides(side, || at(8), || at(24)))
    }

    fn mac(&self, side: Side, address: [u8; 6]) -> Tree {
        let [a, b, c, d, e, f] = address;
        let at = |at: u32| {
            let low = Test::equal(at + 2, Size::Four, u32::from_be_bytes([c, d, e, f]));
            let high = Test::equal(at, Size::Two, u16::from_be_bytes([a, b]).into());
            Tree::from(low).and(high.into())
        };
        self.if_ethernet(sides(side, || at(6), || at(0)))
    }

    fn port(&self, over: Transports, side: Side, port: u16, range: Option<u16>) -> Tree {
        let numbers: &[u32] = match over {
            Transports::All => &[132, 6, 17],
            Transports::Tcp => &[6],
            Transports::Udp => &[17],
            Transports::Sctp => &[132],
        };
        let test = |source: Source| {
            let number = |is, value: u16| {
                Tree::from(Test::Number { source, mask: u32::MAX, is, value: value.into() })
            };
            match range {
                None => number(Is::Equal, port),
                Some(last) => number(Is::AtLeast, port).and(Tree::not(number(Is::Above, last))),
            }
        };
        let six = numbers.iter().map(|number| {
            let at = |at| {
                let at = self.payload() + IPV6_HEADER + at;
                test(Source::Frame { at, size: Size::Two })
            };
            let next = Tree::from(self.equal(6, Size::One, *number));
            next.and(sides(side, || at(0), || at(2)))
        });
        let header = self.payload();
        let four = numbers.iter().map(|number| {
            let at = |at| test(Source::AboveIpv4 { header, at, size: Size::Two });
            let is = Tree::from(self.equal(9, Size::One, *number));
            Tree::All(vec![is, self.first_fragment(), sides(side, || at(0), || at(2))])
        });
        let (six, four) = (Tree::Any(six.collect()), Tree::Any(four.collect()));
        Tree::Any(vec![self.kind(IPV6).and(six), self.kind(IPV4).and(four)])
    }

    /// The IPv4 packet is no fragment, or the first.
    fn first_fragment(&self) -> Tree {
        Test::masked(self.payload() + 6, Size::Two, 0x1fff, 0).into()
    }

    fn vlan(&mut self, id: Option<u16>) -> Tree {
        let tag = Tree::Any(TAGS.iter().map(|number| self.kind(*number)).collect());
        let tree = match id {
            None => tag,
            Some(id) => {
                let id = Test::masked(self.payload(), Size::Two, 0x0fff, id.into());
                tag.and(id.into())
            }
        };
        self.shift = self.shift.saturating_add(4);
        tree
    }

    fn relation(&mut self, left: &Arith, relation: Relation, right: &Arith) -> Tree {
        let mut parts = self.requirements(left);
        parts.extend(self.requirements(right));
        let test = match self.simple(left, relation, right) {
            Some(tree) => tree,
            None => {
                let mut list = Vec::new();
                let access = |arith: &Arith| self.access(arith);
                steps(left, &access, &mut list);
                steps(right, &access, &mut list);
                self.tables.relations.push(Computed { steps: list.into(), relation });
                Test::Relation(self.tables.relations.len() as u32 - 1).into()
            }
        };
        parts.push(test);
        Tree::All(parts)
    }

    /// What has to be there for the bytes that a number is made of. As in tcpdump, those to the
    /// right of an operator are not asked for.
    fn requirements(&self, arith: &Arith) -> Vec<Tree> {
        match arith {
            Arith::Number(_) | Arith::Length => Vec::new(),
            Arith::Negate(inner) | Arith::Binary(_, inner, _) => self.requirements(inner),
            Arith::Access { known, index, .. } => {
                let mut parts = self.requirements(index);
                match known.key {
                    Key::Link => parts.push(self.if_ethernet(Tree::constant(true))),
                    Key::EtherType(number) => parts.push(self.kind(number)),
                    Key::Ip(number, Versions::Six) => {
                        let next = self.equal(6, Size::One, number.into());
                        parts.push(self.kind(IPV6).and(next.into()));
                    }
                    Key::Ip(..) => {
                        let rest = [self.is(known), self.first_fragment()];
                        parts.push(self.kind(IPV4));
                        parts.extend(rest);
                    }
                }
                parts
            }
        }
    }

    /// How the bytes of a header are taken from the frame.
    fn access(&self, arith: &Arith) -> Option<Step> {
        let Arith::Access { known, size, .. } = arith else { return None };
        let (size, header) = (width(*size), self.payload());
        Some(match known.key {
            Key::Link => Step::Frame { base: 0, size },
            Key::EtherType(_) => Step::Frame { base: header, size },
            Key::Ip(_, Versions::Six) => Step::Frame { base: header + IPV6_HEADER, size },
            Key::Ip(..) => Step::AboveIpv4 { header, size },
        })
    }

    /// A comparison with a constant of some bits at a constant place, which most are.
    fn simple(&self, left: &Arith, relation: Relation, right: &Arith) -> Option<Tree> {
        let Arith::Number(value) = *right else { return None };
        let (number, mask) = match left {
            Arith::Binary(Operator::And, number, mask) => match **mask {
                Arith::Number(mask) => (&**number, mask),
                _ => return None,
            },
            number => (number, u32::MAX),
        };
        let source = match number {
            Arith::Length => Source::Length,
            Arith::Access { index, .. } => match (&**index, self.access(number)?) {
                (Arith::Number(index), Step::Frame { base, size }) => {
                    Source::Frame { at: base.checked_add(*index)?, size }
                }
                (Arith::Number(at), Step::AboveIpv4 { header, size }) => {
                    Source::AboveIpv4 { header, at: *at, size }
                }
                _ => return None,
            },
            Arith::Number(_) | Arith::Negate(_) | Arith::Binary(..) => return None,
        };
        let test = |is| Tree::from(Test::Number { source, mask, is, value });
        Some(match relation {
            Relation::Equal => test(Is::Equal),
            Relation::Unequal => Tree::not(test(Is::Equal)),
            Relation::Less => Tree::not(test(Is::AtLeast)),
            Relation::AtMost => Tree::not(test(Is::Above)),
            Relation::Greater => test(Is::Above),
            Relation::AtLeast => test(Is::AtLeast),
        })
    }
}

const fn width(size: u8) -> Size {
    match size {
        1 => Size::One,
        2 => Size::Two,
        _ => Size::Four,
    }
}

/// What holds for the wanted ends, the source first.
fn sides(side: Side, source: impl Fn() -> Tree, destination: impl Fn() -> Tree) -> Tree {
    match side {
        Side::Source => source(),
        Side::Destination => destination(),
        Side::Either => Tree::Any(vec![source(), destination()]),
        Side::Both => source().and(destination()),
    }
}
