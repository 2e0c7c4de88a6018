using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>Our own probes, one a period, of everybody in turn.</summary>
internal sealed class Prober
{
    private readonly Turn _turn;
    private readonly MemberTable _members;
    private readonly Outbox _outbox;
    private readonly OutboundStreams _streams;
    private readonly Suspicions _suspicions;
    private readonly LocalHealth _health;
    private readonly ContactGate _gate;
    private readonly ProbeOrder _order;
    private Probe? _probe;
    private TimeSpan _due;

    public Prober(Turn turn, MemberTable members, Outbox outbox, OutboundStreams streams, Suspicions suspicions, LocalHealth health, ContactGate gate)
    {
        _turn = turn;
        _members = members;
        _outbox = outbox;
        _streams = streams;
        _suspicions = suspicions;
        _health = health;
        _gate = gate;
        _order = new ProbeOrder(turn.Random);
        // Nodes that are switched on together should not probe in step.
        _due = turn.Now + (turn.Options.ProbePeriod * turn.Random.NextDouble());
    }

    public TimeSpan NextEvent => _probe?.NextEvent ?? _due;

    public void Add(NodeId id) => _order.Add(id);

    public void Remove(NodeId id)
    {
        _order.Remove(id);
        _probe = _probe?.Target == id ? null : _probe;
    }

    public void Run()
    {
        if (_probe is not null)
        {
            Continue(_probe);
        }

        if (_probe is null && _turn.Now >= _due)
        {
            _gate.Watch(_health.Period);
            _due = _turn.Now + _health.Period;
            if (_order.Next() is { } target && _members.Find(target) is { } member)
            {
                _probe = new Probe(target, member.Incarnation, _turn.NextSequence(), _turn.Now, _health.Period, _health.RoundTrip);
                Continue(_probe);
            }
        }
    }

    /// <summary>The target itself, or a helper for it, has acknowledged.</summary>
    public void OnAnswered(ulong sequence, NodeId target, bool direct)
    {
        if (_probe is { } probe && probe.Sequence == sequence && probe.Target == target)
        {
            _probe = null;
            _health.Improve();
            if (direct && probe.OnlyPing is { } sent)
            {
                _health.Measured(_turn.Now - sent);
            }
        }
    }

    public void OnNack(ulong sequence, NodeId target, NodeId helper)
    {
        if (_probe is { } probe && probe.Sequence == sequence && probe.Target == target && probe.Helpers.Contains(helper))
        {
            probe.Nacks.Add(helper);
            if (probe.IsDecided)
            {
                Conclude(probe);
            }
        }
    }

    /// <summary>We were stopped: an answer may have come and gone.</summary>
    public void OnStall() => _probe = null;

    private void Continue(Probe probe)
    {
        while (_turn.Now >= probe.NextPing)
        {
            probe.PingsSent++;
            _outbox.Ping(probe.Target, probe.Sequence);
        }

        if (_turn.Now >= probe.HelpersDue)
        {
            AskHelpers(probe);
        }

        if (_turn.Now >= probe.Verdict)
        {
            Conclude(probe);
        }
    }

    private void AskHelpers(Probe probe)
    {
        probe.HelpersAsked = true;
        if (_members.Find(probe.Target) is not { } target)
        {
            return;
        }

        byte[] request = Frames.PingRequest(probe.Sequence, probe.Target, target.Endpoint, probe.Verdict - _turn.Now);
        // One helper is known to live: among many that died at once a choice at random may find none, and silence of the
        // helpers would be taken for a trouble of ours.
        List<NodeId> helpers = PeerChoice.Some(_turn.Random, _members, _turn.Options.IndirectProbes, except: probe.Target, aliveOnly: true);
        if (_gate.Latest(probe.Target) is { } living && !helpers.Contains(living))
        {
            if (helpers.Count == _turn.Options.IndirectProbes)
            {
                helpers.RemoveAt(0);
            }

            helpers.Add(living);
        }

        foreach (NodeId helper in helpers)
        {
            probe.Helpers.Add(helper);
            _outbox.SendTo(helper, request);
        }

        _streams.OpenProbe(probe.Target, Frames.Ping(probe.Sequence, probe.Target, _outbox.DigestFor(probe.Target)));
    }

    private void Conclude(Probe probe)
    {
        _probe = null;
        if (probe.Helpers.Count > 0 && probe.Nacks.Count == 0)
        {
            _health.Worsen();
        }

        if (_members.Find(probe.Target) is { IsActive: true } member && member.Incarnation == probe.Incarnation)
        {
            // Probes that our own bad health has stretched shorten nothing.
            TimeSpan askingHelpers = _turn.Options.ProbePeriod * (1 - Probe.HelpersAt);
            _suspicions.Raise(member, probe.Nacks, Turn.Later(probe.DirectEnd, _turn.Now - askingHelpers));
        }
    }
}
