using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// The failure detector: SWIM's probes with Lifeguard's local health, and helper NACKs counted as witnesses.
public sealed partial class GossipCore
{
    private const int MaxRelays = 256;
    private readonly ProbeOrder _probeOrder;
    private readonly List<RelayedProbe> _relays = [];
    private Probe? _probe;
    private TimeSpan _probeDue;
    private TimeSpan? _contactSince;
    private TimeSpan _lastContact;
    private bool _isolated;

    private TimeSpan Period => _options.ProbePeriod * (1 + HealthScore);

    private ulong NextSequence() => unchecked((ulong)_random.NextInt64());

    private TimeSpan NextProbeEvent() =>
        _leaving ? TimeSpan.MaxValue : _probe?.NextEvent ?? _probeDue;

    private TimeSpan NextRelayEvent() => _relays.Count == 0 ? TimeSpan.MaxValue : _relays.Min(r => r.NextEvent);

    private void RunProbes()
    {
        if (_leaving)
        {
            return;
        }

        if (_probe is not null)
        {
            Continue(_probe);
        }

        if (_probe is null && _now >= _probeDue)
        {
            WatchContact();
            _probeDue = _now + Period;
            if (_probeOrder.Next() is { } target && _members.Find(target) is { } member)
            {
                _probe = new Probe(target, member.Incarnation, NextSequence(), _now, Period);
                Continue(_probe);
            }
        }
    }

    private void Continue(Probe probe)
    {
        if (!_members.IsActive(probe.Target))
        {
            _probe = null;
            return;
        }

        while (_now >= probe.NextPing)
        {
            probe.PingsSent++;
            SendPing(probe.Target, probe.Sequence);
        }

        if (_now >= probe.HelpersDue)
        {
            probe.HelpersAsked = true;
            AskHelpers(probe);
            OpenProbeStream(probe.Target, probe.Sequence);
        }

        if (_now >= probe.Verdict)
        {
            _probe = null;
            OnProbeFailed(probe);
        }
    }

    private void AskHelpers(Probe probe)
    {
        IPEndPoint endpoint = _members.Find(probe.Target)!.Endpoint;
        foreach (NodeId helper in PickOthers(_options.IndirectProbes, id => id != probe.Target))
        {
            probe.Helpers.Add(helper);
            SendTo(helper, Frames.PingRequest(probe.Sequence, probe.Target, endpoint));
        }
    }

    private void OnProbeFailed(Probe probe)
    {
        if (probe.Helpers.Count > 0 && probe.Nacks.Count == 0)
        {
            HealthScore = Math.Min(HealthScore + 1, _options.HealthMax);
        }

        if (_members.Find(probe.Target) is { IsActive: true } member && member.Incarnation == probe.Incarnation)
        {
            Suspect(member, probe.Nacks);
        }
    }

    private void OnProbeAnswered(ulong sequence, NodeId from)
    {
        if (_probe is { } probe && probe.Sequence == sequence && probe.Target == from)
        {
            _probe = null;
            HealthScore = Math.Max(HealthScore - 1, 0);
        }

        if (_suspicions.TryGetValue(from, out Suspicion? suspicion) && suspicion.Final?.Sequence == sequence)
        {
            suspicion.Restart(_now);
        }
    }

    private void OnPing(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(6);
        ulong sequence = reader.ReadUInt64();
        NodeId? target = Frames.ReadOptionalId(ref reader);
        StateDigest digest = Frames.ReadDigest(ref reader);
        reader.EndArray(extra);
        if (target is { } meant && meant != _self.Id)
        {
            // The address was somebody else's; an acknowledgement would keep that one alive by mistake.
            exchange.Reply.Add(Frames.Member(_self, null));
            return;
        }

        exchange.Reply.Add(Frames.Ack(sequence, DigestFor(exchange.From)));
        Member? sender = _members.Find(exchange.From);
        if (target is null)
        {
            exchange.Reply.Add(Frames.Member(_self, null));
        }

        if (sender is null)
        {
            exchange.WantedMembers.Add(exchange.From);
        }
        else if (sender.Status != MemberStatus.Alive)
        {
            // Whoever is talked of badly should hear it first (Lifeguard's buddy system).
            exchange.Reply.Add(Frames.Member(sender, null));
        }

        OnPeerDigest(exchange, digest);
    }

    private void OnAck(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(5);
        ulong sequence = reader.ReadUInt64();
        StateDigest digest = Frames.ReadDigest(ref reader);
        reader.EndArray(extra);
        OnProbeAnswered(sequence, exchange.From);
        int relay = _relays.FindIndex(r => r.Sequence == sequence && r.Target == exchange.From);
        if (relay >= 0)
        {
            SendTo(_relays[relay].Requester, Frames.Vouch(_relays[relay].RequesterSequence, exchange.From));
            _relays.RemoveAt(relay);
        }

        OnPeerDigest(exchange, digest);
    }

    private void OnPingRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(3);
        ulong sequence = reader.ReadUInt64();
        NodeId target = reader.ReadId();
        IPEndPoint endpoint = EndpointCodec.Read(ref reader);
        reader.EndArray(extra);
        // Only members are probed for others: an arbitrary address would make us somebody's cannon.
        if (exchange.IsStream || _relays.Count >= MaxRelays || target == _self.Id || _members.Find(target) is not { } member)
        {
            return;
        }

        IPEndPoint where = member.Endpoint.Equals(endpoint) ? endpoint : member.Endpoint;
        var relay = new RelayedProbe(exchange.From, sequence, target, where, NextSequence(), _now, _options.ProbePeriod);
        _relays.Add(relay);
        Send(target, relay.Endpoint, Frames.Ping(relay.Sequence, target, DigestFor(target)));
    }

    private void RunRelays()
    {
        for (int i = _relays.Count - 1; i >= 0; i--)
        {
            RelayedProbe relay = _relays[i];
            if (_now < relay.NextEvent)
            {
                continue;
            }

            if (!relay.SecondSent)
            {
                relay.SecondSent = true;
                Send(relay.Target, relay.Endpoint, Frames.Ping(relay.Sequence, relay.Target, DigestFor(relay.Target)));
            }
            else
            {
                _relays.RemoveAt(i);
                SendTo(relay.Requester, Frames.Nack(relay.RequesterSequence, relay.Target));
            }
        }
    }

    private void OnVouch(ref MessagePackReader reader)
    {
        int extra = reader.BeginArray(2);
        ulong sequence = reader.ReadUInt64();
        NodeId target = reader.ReadId();
        reader.EndArray(extra);
        OnProbeAnswered(sequence, target);
    }

    private void OnNack(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(2);
        ulong sequence = reader.ReadUInt64();
        NodeId target = reader.ReadId();
        reader.EndArray(extra);
        if (_probe is { } probe && probe.Sequence == sequence && probe.Target == target && probe.Helpers.Contains(exchange.From))
        {
            probe.Nacks.Add(exchange.From);
        }
    }

    private void SendPing(NodeId target, ulong sequence)
    {
        if (_members.Find(target) is not { } member)
        {
            return;
        }

        List<byte[]> frames = [];
        if (!_heard.ContainsKey(target))
        {
            frames.Add(Frames.Member(_self, null));
        }

        if (member.Status != MemberStatus.Alive)
        {
            frames.Add(Frames.Member(member, null));
        }

        frames.Add(Frames.Ping(sequence, target, DigestFor(target)));
        Send(target, member.Endpoint, frames);
    }

    /// <summary>Keeps account of whether we hear from anybody, once a period.</summary>
    private void WatchContact()
    {
        if (_members.ActiveCount <= 2 || HeardWithin(Period * 4, except: _self.Id) >= ContactsNeeded)
        {
            _contactSince ??= _now;
            _lastContact = _now;
        }
        else
        {
            _contactSince = null;
        }

        bool isolated = _now - _lastContact >= _options.IsolatedAfter;
        if (isolated != _isolated)
        {
            _isolated = isolated;
            _effects.Add(new GossipEffect.Isolated(isolated));
        }
    }

    private int ContactsNeeded => _members.ActiveCount >= 5 ? 2 : 1;

    private int HeardWithin(TimeSpan window, NodeId except)
    {
        int count = 0;
        foreach (NodeId id in _members.Others)
        {
            count += id != except && _heard.TryGetValue(id, out TimeSpan at) && _now - at <= window ? 1 : 0;
        }

        return count;
    }

    /// <summary>
    /// Nobody who has heard from nobody may bury anybody: the silent one would be us. With two members there is nobody
    /// else to hear from, and death withdraws nothing.
    /// </summary>
    private bool MayBury(NodeId subject, TimeSpan min) =>
        _members.ActiveCount <= 2
        || (_contactSince is { } since && _now - since >= min
            && HeardWithin(_options.ProbePeriod * 2, except: subject) >= ContactsNeeded);

    /// <summary>We were stopped (freeze, pause, overload): what was in flight proves nothing about others.</summary>
    private void OnStall(TimeSpan late)
    {
        _probe = null;
        _relays.Clear();
        _contactSince = null;
        _lastContact = _now;
        foreach (Suspicion suspicion in _suspicions.Values)
        {
            suspicion.Extend(late);
            suspicion.Final = null;
        }
    }

    /// <summary>Distinct other active members drawn at random.</summary>
    private List<NodeId> PickOthers(int count, Predicate<NodeId>? wanted = null)
    {
        NodeId[] others = _members.Others;
        List<NodeId> picked = [];
        if (others.Length <= count * 4)
        {
            List<NodeId> pool = [.. others.Where(id => wanted?.Invoke(id) ?? true)];
            while (picked.Count < count && pool.Count > 0)
            {
                int draw = _random.Next(pool.Count);
                picked.Add(pool[draw]);
                pool.RemoveAt(draw);
            }

            return picked;
        }

        for (int tries = 0; picked.Count < count && tries < count * 8; tries++)
        {
            NodeId id = others[_random.Next(others.Length)];
            if (!picked.Contains(id) && (wanted?.Invoke(id) ?? true))
            {
                picked.Add(id);
            }
        }

        return picked;
    }
}
