namespace Kcore.Gossip;

/// <summary>
/// Whether this node hears from anybody. Nobody who has heard from nobody may bury anybody: the silent one would be us.
/// </summary>
internal sealed class ContactGate(Turn turn, MemberTable members)
{
    /// <summary>Further ones that are asked where contact is lacking.</summary>
    private const int Comparisons = 3;

    /// <summary>The latest distinct senders: enough to find two others besides the one in question.</summary>
    private readonly (NodeId Id, TimeSpan At)[] _latest = new (NodeId, TimeSpan)[4];
    private TimeSpan? _since;
    private TimeSpan _lastContact = turn.Now;
    private int _known;
    private bool _isolated;

    /// <summary>In larger clusters one other that answers may share our trouble.</summary>
    private int Needed => members.ActiveCount >= 5 ? 2 : 1;

    /// <summary>An authenticated packet of another node came in.</summary>
    public void Heard(NodeId id)
    {
        int place = 0;
        while (place < _known && _latest[place].Id != id)
        {
            place++;
        }

        if (place == _known)
        {
            place = _known < _latest.Length ? _known++ : _latest.Length - 1;
        }

        for (; place > 0; place--)
        {
            _latest[place] = _latest[place - 1];
        }

        _latest[0] = (id, turn.Now);
    }

    /// <summary>Keeps account, once a period of probing.</summary>
    public void Watch(TimeSpan period)
    {
        if (members.ActiveCount <= 2 || HeardWithin(period * 4, except: null) >= Needed)
        {
            _since ??= turn.Now;
            _lastContact = turn.Now;
        }
        else
        {
            _since = null;
        }

        bool isolated = turn.Now - _lastContact >= turn.Options.IsolatedAfter;
        if (isolated != _isolated)
        {
            _isolated = isolated;
            turn.Emit(new GossipEffect.Isolated(isolated));
        }
    }

    /// <summary>
    /// Others than the subject must have been heard of just now and for as long as the subject was given. With two
    /// members there is nobody else to hear from, and death withdraws nothing.
    /// </summary>
    public bool MayBury(NodeId subject, TimeSpan min) =>
        members.ActiveCount <= 2
        || (_since is { } since && turn.Now - since >= min && IsFresh(subject));

    /// <summary>The active member heard of last, besides the one in question.</summary>
    public NodeId? Latest(NodeId except)
    {
        foreach ((NodeId id, _) in _latest.AsSpan(0, _known))
        {
            if (id != except && members.IsActive(id))
            {
                return id;
            }
        }

        return null;
    }

    /// <summary>
    /// Asks those for a sign of life who gave one last. Where most members are gone the round robin comes to the living too
    /// seldom to keep contact with them.
    /// </summary>
    public void Refresh(NodeId subject, Outbox outbox)
    {
        if (IsFresh(subject))
        {
            return;
        }

        foreach ((NodeId id, _) in _latest.AsSpan(0, _known))
        {
            if (id != subject && members.IsActive(id))
            {
                outbox.Ping(id, turn.NextSequence());
            }
        }

        foreach (NodeId id in PeerChoice.Some(turn.Random, members, Comparisons, except: subject))
        {
            outbox.Ping(id, turn.NextSequence());
        }
    }

    private bool IsFresh(NodeId subject) =>
        members.ActiveCount <= 2 || HeardWithin(turn.Options.ProbePeriod * 2, subject) >= Needed;

    /// <summary>We were stopped; what is heard from now on starts a new account.</summary>
    public void OnStall()
    {
        _since = null;
        _lastContact = turn.Now;
    }

    private int HeardWithin(TimeSpan window, NodeId? except)
    {
        int count = 0;
        foreach ((NodeId id, TimeSpan at) in _latest.AsSpan(0, _known))
        {
            count += turn.Now - at <= window && id != except && members.IsActive(id) ? 1 : 0;
        }

        return count;
    }
}
