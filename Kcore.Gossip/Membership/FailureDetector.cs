using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// SWIM's probes with Lifeguard's local health, helper NACKs counted as witnesses, and three rules against burying the
/// living: void what a stall has spoilt, trust no silence when everybody is silent, and try once more before the verdict.
/// </summary>
internal sealed class FailureDetector
{
    private readonly Turn _turn;
    private readonly MemberTable _members;
    private readonly Outbox _outbox;
    private readonly ContactGate _gate;
    private readonly Suspicions _suspicions;
    private readonly Prober _prober;
    private readonly Relays _relays;

    public FailureDetector(Turn turn, MemberTable members, Roster roster, Disseminator rumors, Outbox outbox, OutboundStreams streams, LocalHealth health)
    {
        _turn = turn;
        _members = members;
        _outbox = outbox;
        _gate = new ContactGate(turn, members);
        _suspicions = new Suspicions(turn, members, roster, rumors, outbox, streams, _gate);
        _prober = new Prober(turn, members, outbox, streams, _suspicions, health, _gate);
        _relays = new Relays(turn, members, outbox);
    }

    /// <summary>A node that leaves judges nobody any more, but still answers.</summary>
    public bool IsRetired { get; set; }

    public TimeSpan NextEvent => IsRetired
        ? _relays.NextEvent
        : Turn.Sooner(_relays.NextEvent, Turn.Sooner(_prober.NextEvent, _suspicions.NextEvent));

    public void Run()
    {
        if (!IsRetired)
        {
            _prober.Run();
            _suspicions.Run();
        }

        _relays.Run();
    }

    public void Heard(NodeId from)
    {
        _gate.Heard(from);
        if (_members.Slot(from) is { } slot)
        {
            slot.HasSpoken = true;
        }
    }

    public void OnChanged(Member? before, Member after, Accusation? accusation)
    {
        _suspicions.OnChanged(before, after, accusation);
        if (after.IsActive && before is not { IsActive: true })
        {
            _prober.Add(after.Id);
        }
        else if (!after.IsActive)
        {
            _prober.Remove(after.Id);
        }

        if (after.Status == MemberStatus.Dead && before is { IsActive: true } && accusation?.Accuser != _members.Self.Id)
        {
            // It lived a moment ago as far as we know. When two halves of a split meet each hears that all of it are dead,
            // and whom nobody counts as living any more no rumor would tell.
            _outbox.Ping(after.Id, _turn.NextSequence());
        }
    }

    public void OnRepeated(Member subject, Accusation accusation) => _suspicions.Confirm(subject.Id, accusation);

    public void OnForgotten(Member member)
    {
        _suspicions.Remove(member.Id);
        _prober.Remove(member.Id);
    }

    /// <summary>We were stopped (freeze, pause, overload): what was in flight proves nothing about others.</summary>
    public void OnStall(TimeSpan late)
    {
        _prober.OnStall();
        _relays.OnStall();
        _gate.OnStall();
        _suspicions.OnStall(late);
    }

    /// <summary>Answers a ping; returns what the sender says of its state, null when it meant somebody else.</summary>
    public StateDigest? OnPing(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(6);
        ulong sequence = reader.ReadUInt64();
        NodeId? target = Frames.ReadOptionalId(ref reader);
        StateDigest digest = Frames.ReadDigest(ref reader);
        reader.EndArray(extra);
        if (target is { } meant && meant != _members.Self.Id)
        {
            // The address was somebody else's; an acknowledgement would keep that one alive by mistake.
            exchange.Reply.Add(Frames.Member(_members.Self, null));
            return null;
        }

        if (target is null)
        {
            // It comes first: what the acknowledgement says counts only from somebody known.
            exchange.Reply.Add(Frames.Member(_members.Self, null));
        }

        exchange.Reply.Add(Frames.Ack(sequence, _outbox.DigestFor(exchange.From), exchange.From));
        if (_members.Find(exchange.From) is null)
        {
            exchange.WantedMembers.Add(exchange.From);
        }

        TellWhatIsSaid(exchange);
        return digest;
    }

    public StateDigest OnAck(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(6);
        ulong sequence = reader.ReadUInt64();
        StateDigest digest = Frames.ReadDigest(ref reader);
        bool isMeant = reader.ReadUInt32() == Frames.Addressee(_members.Self.Id);
        reader.EndArray(extra);
        _prober.OnAnswered(sequence, exchange.From, direct: !exchange.IsStream);
        _suspicions.OnAnswered(sequence, exchange.From);
        _relays.OnAnswered(sequence, exchange.From);
        TellWhatIsSaid(exchange);
        return isMeant ? digest : digest with { HeldEpoch = 0, HeldVersion = 0 };
    }

    public void OnPingRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(4);
        ulong sequence = reader.ReadUInt64();
        NodeId target = reader.ReadId();
        EndpointCodec.Read(ref reader);
        var window = TimeSpan.FromMilliseconds(reader.ReadUInt16());
        reader.EndArray(extra);
        if (!exchange.IsStream)
        {
            _relays.Start(exchange.From, sequence, target, window);
        }
    }

    public void OnVouch(ref MessagePackReader reader)
    {
        (ulong sequence, NodeId target) = ReadSequenceAndId(ref reader);
        _prober.OnAnswered(sequence, target, direct: false);
        _suspicions.OnAnswered(sequence, target);
    }

    public void OnNack(ref MessagePackReader reader, Exchange exchange)
    {
        (ulong sequence, NodeId target) = ReadSequenceAndId(ref reader);
        _prober.OnNack(sequence, target, exchange.From);
    }

    /// <summary>Whoever is talked of badly should hear it first: only its own word can end that.</summary>
    private void TellWhatIsSaid(Exchange exchange)
    {
        if (_members.Find(exchange.From) is { } sender && sender.Status != MemberStatus.Alive)
        {
            exchange.Reply.Add(Frames.Member(sender, null));
        }
    }

    private static (ulong Sequence, NodeId Target) ReadSequenceAndId(ref MessagePackReader reader)
    {
        int extra = reader.BeginArray(2);
        ulong sequence = reader.ReadUInt64();
        NodeId target = reader.ReadId();
        reader.EndArray(extra);
        return (sequence, target);
    }
}
