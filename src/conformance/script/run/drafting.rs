//! The packets that a script sends: what a line says, and what the packets before it make of the rest.

use std::net::Ipv4Addr;

use super::super::draft::{Blank, Draft, Layer};
use super::super::fields::{Field, Value};
use super::super::{Address, Known, Number, Packet, Setting, Term};
use super::{Run, SEGMENT_HEADERS, Stop, quotation};
use crate::conformance::stimulus::ArpFrame;
use crate::proto::MacAddr;

impl<'a> Run<'a> {
    /// The packet with everything that it leaves to us.
    pub(super) fn draft(&mut self, packet: &'a Packet) -> Result<Draft, Stop> {
        let trial = &mut *self.trial;
        let id = trial.identity();
        let blank = Blank {
            echo: trial.echo(0),
            datagram: trial.datagram(trial.rig.target.ports.closed_udp, &[]),
            segment: trial.segment_from(0, trial.rig.target.ports.http),
            arp: ArpFrame::request(id.host_mac, id.host_ip, id.device_ip),
        };
        let mut draft = blank.draft(packet.layer);
        let port = packet.port.as_ref().map(|port| self.port(packet.layer, port)).transpose()?;
        let default = match packet.layer {
            Layer::Udp => self.trial.rig.target.ports.closed_udp,
            _ => self.trial.rig.target.ports.http,
        };
        let conversation = self.conversation(&packet.via);
        let theirs = port.or(conversation.theirs).unwrap_or(default);
        let ours = conversation.ours;
        (draft.udp.source, draft.udp.destination) = (ours, theirs);
        (draft.tcp.source, draft.tcp.destination) = (ours, theirs);
        for (field, setting) in &packet.settings {
            let value = self.value(field, setting)?;
            if let Some(set) = field.set {
                set(&mut draft, value);
            }
        }
        if let Some(name) = &packet.quote {
            let quoted = self.names.get(name.as_str()).ok_or(Stop::Unnamed)?;
            draft.data = quotation(quoted);
        }
        self.remember(packet, &draft);
        Ok(draft)
    }

    /// What later lines of the conversation refer to without saying it.
    pub(super) fn remember(&mut self, packet: &'a Packet, draft: &Draft) {
        let conversation = self.conversation(&packet.via);
        match packet.layer {
            Layer::Tcp => conversation.theirs = Some(draft.tcp.destination),
            Layer::Udp => conversation.theirs = Some(draft.udp.destination),
            Layer::Icmp => conversation.echo = Some(draft.icmp.rest),
            Layer::Eth | Layer::Arp | Layer::Ip => {}
        }
    }

    pub(super) fn port(&self, layer: Layer, port: &Number) -> Result<u16, Stop> {
        let ports = self.trial.rig.target.ports;
        match port.as_slice() {
            [(false, Term::Known(Known::Closed))] if layer == Layer::Udp => Ok(ports.closed_udp),
            _ => Ok(self.number(port, 16)? as u16),
        }
    }

    /// A sum, wrapped to so many bits.
    pub(super) fn number(&self, number: &Number, bits: u32) -> Result<u64, Stop> {
        let mut sum = 0u64;
        for (is_taken_away, term) in number {
            let ports = self.trial.rig.target.ports;
            let value = match term {
                Term::Value(value) => *value,
                Term::Known(Known::Http) => ports.http.into(),
                Term::Known(Known::Closed) => ports.closed_tcp.into(),
                Term::Known(Known::Echo) => ports.echo.into(),
                Term::Known(Known::MaxFrame) => self.trial.max_frame() as u64,
                Term::Known(Known::Full) => {
                    (self.trial.max_frame() as u64).saturating_sub(SEGMENT_HEADERS)
                }
                Term::Field(name, field) => {
                    let seen = self.names.get(name.as_str()).ok_or(Stop::Unnamed)?;
                    match field.get.and_then(|get| get(seen)) {
                        Some(Value::Number(value)) => value,
                        _ => return Err(Stop::Unnamed),
                    }
                }
            };
            sum = match is_taken_away {
                true => sum.wrapping_sub(value),
                false => sum.wrapping_add(value),
            };
        }
        Ok(sum & ((1 << bits) - 1))
    }

    pub(super) fn ip(&self, address: Address<Ipv4Addr>) -> Ipv4Addr {
        match address {
            Address::Exact(ip) => ip,
            Address::Host => self.trial.identity().host_ip,
            Address::Device => self.trial.identity().device_ip,
            Address::Net(last) => self.trial.address(last),
        }
    }

    pub(super) fn mac(&self, address: Address<MacAddr>) -> MacAddr {
        match address {
            Address::Exact(mac) => mac,
            Address::Host => self.trial.identity().host_mac,
            Address::Device => self.trial.identity().device_mac,
            Address::Net(last) => MacAddr(2, 0, 0, 0, 1, last),
        }
    }

    pub(super) fn value(&self, field: &Field, setting: &Setting) -> Result<Value, Stop> {
        Ok(match setting {
            Setting::Number(number) => Value::Number(self.number(number, field.bits())?),
            Setting::Ip(address) => Value::Ip(self.ip(*address)),
            Setting::Mac(address) => Value::Mac(self.mac(*address)),
            Setting::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Setting::Checksum(checksum) => Value::Checksum(*checksum),
        })
    }
}
