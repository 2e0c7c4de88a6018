using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>Probes this node makes for others, who get a word either way: a vouch or a NACK.</summary>
internal sealed class Relays(Turn turn, MemberTable members, Outbox outbox)
{
    private const int Max = 256;
    private static readonly TimeSpan WindowMin = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan WindowMax = TimeSpan.FromSeconds(10);
    private readonly List<RelayedProbe> _open = [];

    public TimeSpan NextEvent
    {
        get
        {
            TimeSpan next = TimeSpan.MaxValue;
            foreach (RelayedProbe relay in _open)
            {
                next = Turn.Sooner(next, relay.NextEvent);
            }

            return next;
        }
    }

    /// <summary>Only members are probed for others: an arbitrary address would make us somebody's cannon.</summary>
    public void Start(NodeId requester, ulong sequence, NodeId target, TimeSpan window)
    {
        if (_open.Count >= Max || target == members.Self.Id || members.Find(target) is not { } member)
        {
            return;
        }

        window = Turn.Later(WindowMin, Turn.Sooner(window, WindowMax));
        var relay = new RelayedProbe(requester, sequence, target, member.Endpoint, turn.NextSequence(), turn.Now, window);
        _open.Add(relay);
        Ping(relay);
    }

    public void OnAnswered(ulong sequence, NodeId from)
    {
        for (int i = 0; i < _open.Count; i++)
        {
            RelayedProbe relay = _open[i];
            if (relay.Sequence == sequence && relay.Target == from)
            {
                outbox.SendTo(relay.Requester, Frames.Vouch(relay.RequesterSequence, from));
                _open.RemoveAt(i);
                return;
            }
        }
    }

    public void Run()
    {
        for (int i = _open.Count - 1; i >= 0; i--)
        {
            RelayedProbe relay = _open[i];
            if (turn.Now < relay.NextEvent)
            {
                continue;
            }

            if (!relay.SecondSent)
            {
                relay.SecondSent = true;
                Ping(relay);
            }
            else
            {
                _open.RemoveAt(i);
                outbox.SendTo(relay.Requester, Frames.Nack(relay.RequesterSequence, relay.Target));
            }
        }
    }

    /// <summary>We were stopped; nobody waits for these any more.</summary>
    public void OnStall() => _open.Clear();

    private void Ping(RelayedProbe relay) =>
        outbox.Send(relay.Target, relay.Endpoint, Frames.Ping(relay.Sequence, relay.Target, outbox.DigestFor(relay.Target)));
}
