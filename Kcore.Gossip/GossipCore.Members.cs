using System.Buffers.Binary;
using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// The member table: merging statements, suspicion, refutation, finding each other again.
public sealed partial class GossipCore
{
    private const int RememberedMembers = 256;
    private static readonly TimeSpan FlapWindow = TimeSpan.FromMinutes(5);
    private const int FinalPings = 3;
    private readonly SortedDictionary<NodeId, Suspicion> _suspicions = [];
    private readonly Dictionary<NodeId, (int Count, TimeSpan Last)> _flaps = [];
    private readonly HashSet<ulong> _clones = [];
    private readonly AddressBook _addresses;
    private TimeSpan _contactAllowed;
    private TimeSpan _rememberDue = TimeSpan.MaxValue;

    private void MergeMember(Member incoming, NodeId? accuser, NodeId from, IPEndPoint? source)
    {
        if (incoming.Id == _self.Id)
        {
            MergeSelf(incoming, source);
            return;
        }

        if (_forgotten.TryGetValue(incoming.Id, out uint epoch) && incoming.Epoch <= epoch)
        {
            return;
        }

        Member? before = _members.Find(incoming.Id);
        int order = before is null ? 1 : incoming.CompareStatement(before);
        if (order > 0)
        {
            if (before is not null || _members.Count < WireLimits.Members)
            {
                Accept(before, incoming, accuser, from);
            }

            return;
        }

        if (order == 0 && accuser is { } witness && _suspicions.TryGetValue(incoming.Id, out Suspicion? suspicion))
        {
            suspicion.AddWitness(witness);
        }

        if (before!.Epoch == incoming.Epoch && before.BootNonce != incoming.BootNonce && _clones.Add(incoming.BootNonce))
        {
            _effects.Add(new GossipEffect.CloneDetected(incoming.Id, incoming.Endpoint, incoming.BootNonce));
        }
    }

    private void Accept(Member? before, Member after, NodeId? accuser, NodeId from)
    {
        bool own = accuser == _self.Id;
        _members.Set(after);
        _lastChange = _now;
        _rumors.Add(new RumorKey(after.Id, null), own ? RumorClass.Own : RumorClass.Membership, own ? null : from, accuser);
        _pushDue = own ? _now : Sooner(_pushDue, _now + _options.Coalesce);
        if (_suspicions.Remove(after.Id) && after.Status == MemberStatus.Dead && _probe?.Target == after.Id)
        {
            _probe = null;
        }

        bool wasActive = before?.IsActive ?? false;
        if (after.IsActive && !wasActive)
        {
            _probeOrder.Add(after.Id);
            Sync(after.Id).Urgent = true;
            if (before?.Status == MemberStatus.Dead)
            {
                CountFlap(after.Id);
            }
        }
        else if (!after.IsActive)
        {
            _probeOrder.Remove(after.Id);
            _sync.Remove(after.Id);
        }

        switch (after.Status)
        {
            case MemberStatus.Suspect:
                _suspicions[after.Id] = new Suspicion(after, _now, SuspicionMin(after.Id), _options.SuspicionMaxFactor, _members.ActiveCount);
                break;
            case MemberStatus.Dead:
                _addresses.Add(after.Endpoint, _now, TimeSpan.FromSeconds(1));
                break;
            case MemberStatus.Alive:
                _addresses.Remove(after.Endpoint);
                WarnOfSameName(before, after);
                break;
            case MemberStatus.Left:
                _addresses.Remove(after.Endpoint);
                break;
        }

        _effects.Add(new GossipEffect.MemberChanged(before, after, accuser));
        _rememberDue = Sooner(_rememberDue, _now + TimeSpan.FromSeconds(1));
    }

    private void MergeSelf(Member incoming, IPEndPoint? source)
    {
        if (incoming.BootNonce != _self.BootNonce && incoming.Epoch == _self.Epoch)
        {
            if (_clones.Add(incoming.BootNonce))
            {
                _effects.Add(new GossipEffect.CloneDetected(_self.Id, source ?? incoming.Endpoint, incoming.BootNonce));
            }
        }
        else if (incoming.Epoch > _self.Epoch && incoming.Epoch < uint.MaxValue)
        {
            // Our counter was restored from an older disk; only a later epoch of ours supersedes what they remember.
            _effects.Add(new GossipEffect.PersistEpoch(incoming.Epoch + 1));
            Restate(_self with { Epoch = incoming.Epoch + 1, Incarnation = 0 });
        }
        else if (incoming.CompareStatement(_self) > 0 && incoming.Incarnation < uint.MaxValue)
        {
            HealthScore = Math.Min(HealthScore + 1, _options.HealthMax);
            Restate(_self with { Incarnation = incoming.Incarnation + 1 });
        }
    }

    /// <summary>Says something new about this node to everybody at once.</summary>
    private void Restate(Member self)
    {
        Member before = _self;
        _self = self;
        _members.Set(self);
        _lastChange = _now;
        _rumors.Add(new RumorKey(self.Id, null), RumorClass.Own, null);
        _pushDue = _now;
        _effects.Add(new GossipEffect.MemberChanged(before, self, null));
    }

    /// <summary>
    /// Ids in datagrams are authenticated, so one with our own is either our own echo (a seed that is ourselves) or a
    /// node with a copied disk.
    /// </summary>
    private void OnOwnDatagram(GossipInput.Datagram datagram)
    {
        ReadOnlySpan<byte> payload = datagram.Payload.Span;
        if (payload.Length < Frames.HeaderBytes || payload[0] != (byte)FrameType.Member
            || BinaryPrimitives.ReadUInt16BigEndian(payload[1..]) > payload.Length - Frames.HeaderBytes)
        {
            return;
        }

        try
        {
            var reader = new MessagePackReader(payload[Frames.HeaderBytes..]);
            reader.BeginArray(2);
            Member member = MemberCodec.Read(ref reader);
            if (member.BootNonce == _self.BootNonce)
            {
                _addresses.Remove(datagram.Source);
            }
            else if (_clones.Add(member.BootNonce))
            {
                _effects.Add(new GossipEffect.CloneDetected(_self.Id, datagram.Source, member.BootNonce));
            }
        }
        catch (WireFormatException)
        {
            MalformedInputs++;
        }
    }

    private void Suspect(Member member, IEnumerable<NodeId> witnesses)
    {
        if (member.Status == MemberStatus.Alive)
        {
            Accept(member, member with { Status = MemberStatus.Suspect }, _self.Id, _self.Id);
        }
        else if (_suspicions.TryGetValue(member.Id, out Suspicion? held))
        {
            held.AddWitness(_self.Id);
        }

        if (_suspicions.TryGetValue(member.Id, out Suspicion? suspicion))
        {
            foreach (NodeId witness in witnesses)
            {
                suspicion.AddWitness(witness);
            }
        }
    }

    private void RunSuspicions()
    {
        if (_suspicions.Count == 0 || _leaving || NextSuspicionEvent() > _now)
        {
            return;
        }

        foreach (Suspicion suspicion in _suspicions.Values.Where(s => s.NextEvent <= _now).ToList())
        {
            if (suspicion.Final is not { } final)
            {
                if (MayBury(suspicion.Subject.Id, _options.SuspicionMin))
                {
                    suspicion.Final = new FinalProbe(NextSequence(), _now, 1);
                    SendPing(suspicion.Subject.Id, suspicion.Final.Sequence);
                    OpenProbeStream(suspicion.Subject.Id, suspicion.Final.Sequence);
                }
                else
                {
                    suspicion.Postpone(_now + _options.ProbePeriod);
                }
            }
            else if (final.PingsSent < FinalPings)
            {
                suspicion.Final = final with { PingsSent = final.PingsSent + 1 };
                SendPing(suspicion.Subject.Id, final.Sequence);
            }
            else
            {
                Accept(suspicion.Subject, suspicion.Subject with { Status = MemberStatus.Dead }, _self.Id, _self.Id);
            }
        }
    }

    private TimeSpan NextSuspicionEvent() =>
        _suspicions.Count == 0 || _leaving ? TimeSpan.MaxValue : _suspicions.Values.Min(s => s.NextEvent);

    private TimeSpan SuspicionMin(NodeId subject)
    {
        double decades = Math.Max(0, Math.Log10(_members.ActiveCount) - 1);
        TimeSpan min = _options.SuspicionMin + TimeSpan.FromMilliseconds(Math.Floor(1000 * decades));
        return _flaps.TryGetValue(subject, out (int Count, TimeSpan Last) flap) && _now - flap.Last < FlapWindow
            ? min * Math.Min(4, 1 << flap.Count)
            : min;
    }

    /// <summary>Who dies and rises again within minutes gets more time before the next verdict, at most four times.</summary>
    private void CountFlap(NodeId id)
    {
        (int count, TimeSpan last) = _flaps.GetValueOrDefault(id);
        _flaps[id] = (_now - last < FlapWindow ? Math.Min(count + 1, 2) : 1, _now);
    }

    private void WarnOfSameName(Member? before, Member after)
    {
        if (after.Name == before?.Name)
        {
            return;
        }

        foreach (Member other in _members.All)
        {
            if (other.Id != after.Id && other.IsActive && other.Name == after.Name)
            {
                _effects.Add(new GossipEffect.NameConflict(after.Name, other.Id, after.Id));
            }
        }
    }

    private void OnForget(GossipInput.Forget forget)
    {
        _forgotten[forget.Id] = Math.Max(forget.Epoch, _forgotten.GetValueOrDefault(forget.Id));
        Member? member = _members.Find(forget.Id);
        if (forget.Id == _self.Id || (member is not null && member.Epoch > forget.Epoch))
        {
            return;
        }

        RemoveOrigin(forget.Id);
        if (member is null)
        {
            return;
        }

        _members.Remove(forget.Id);
        _suspicions.Remove(forget.Id);
        _probeOrder.Remove(forget.Id);
        _sync.Remove(forget.Id);
        _acknowledged.Remove(forget.Id);
        _heard.Remove(forget.Id);
        _rumors.Remove(new RumorKey(forget.Id, null));
        _addresses.Remove(member.Endpoint);
        _lastChange = _now;
        _effects.Add(new GossipEffect.MemberForgotten(member));
        _rememberDue = Sooner(_rememberDue, _now + TimeSpan.FromSeconds(1));
    }

    private void OnContact(IPEndPoint endpoint)
    {
        if (endpoint.Equals(_self.Endpoint) || _members.All.Any(m => m.Status == MemberStatus.Alive && m.Endpoint.Equals(endpoint)))
        {
            return;
        }

        _addresses.Add(endpoint, _now, TimeSpan.FromMilliseconds(500));
        Greet(endpoint);
    }

    private void RunContacts()
    {
        if (_now < _addresses.NextDue || _now < _contactAllowed || _leaving)
        {
            RememberMembers();
            return;
        }

        // Alone, finding anybody is all that matters; in a cluster all nodes together make two attempts a second.
        bool alone = _members.ActiveCount == 1;
        foreach (IPEndPoint endpoint in _addresses.TakeDue(_now, alone ? 8 : 1))
        {
            Greet(endpoint);
        }

        _contactAllowed = _now + (alone ? TimeSpan.FromMilliseconds(250) : TimeSpan.FromSeconds(Math.Max(1, _members.ActiveCount / 2.0)));
        RememberMembers();
    }

    private void Greet(IPEndPoint endpoint) =>
        Send(null, endpoint, Frames.Member(_self, null), Frames.Ping(NextSequence(), null, DigestFor(null)));

    private void RememberMembers()
    {
        if (_now < _rememberDue)
        {
            return;
        }

        _rememberDue = TimeSpan.MaxValue;
        _effects.Add(new GossipEffect.RememberMembers(
            [.. _members.All.Where(m => m.Id != _self.Id && m.Status != MemberStatus.Left).OrderBy(m => m.Status).Take(RememberedMembers)]));
    }

    private static TimeSpan Sooner(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
