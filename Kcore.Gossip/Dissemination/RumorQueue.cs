namespace Kcore.Gossip;

/// <summary>What a rumor is about: a member (no key) or one key of an origin.</summary>
internal readonly record struct RumorKey(NodeId Id, string? Key);

/// <summary>Who is served first: own facts, then membership, then what others wrote.</summary>
internal enum RumorClass
{
    Own = 0,
    Membership = 1,
    Relayed = 2,
}

internal sealed class Rumor(RumorKey key, RumorClass rumorClass, long order, NodeId? source)
{
    public RumorKey Key { get; } = key;

    public RumorClass Class { get; } = rumorClass;

    public long Order { get; } = order;

    /// <summary>Who told us; it need not be told.</summary>
    public NodeId? Source { get; } = source;

    /// <summary>The first push is still to come.</summary>
    public bool Fresh { get; set; } = true;

    public int SendsLeft { get; set; }

    /// <summary>Of a member: who accuses it.</summary>
    public NodeId? Accuser { get; init; }
}

/// <summary>
/// What is still to be told. One rumor per fact, the newest replacing the older, so the queue is never larger than the
/// state; dropping from it is safe because digests find what is missing.
/// </summary>
internal sealed class RumorQueue
{
    private readonly Dictionary<RumorKey, Rumor> _byKey = [];
    private readonly SortedDictionary<(RumorClass Class, long Order), Rumor> _ordered = [];
    private long _order;

    public int Count => _ordered.Count;

    public int FreshCount { get; private set; }

    /// <summary>In the order in which they are served.</summary>
    public IEnumerable<Rumor> Ordered => _ordered.Values;

    public void Add(RumorKey key, RumorClass rumorClass, NodeId? source, NodeId? accuser = null)
    {
        Remove(key);
        var rumor = new Rumor(key, rumorClass, _order++, source) { Accuser = accuser };
        _byKey[key] = rumor;
        _ordered[(rumorClass, rumor.Order)] = rumor;
        FreshCount++;
    }

    public void Remove(RumorKey key)
    {
        if (_byKey.Remove(key, out Rumor? rumor))
        {
            _ordered.Remove((rumor.Class, rumor.Order));
            FreshCount -= rumor.Fresh ? 1 : 0;
        }
    }

    /// <summary>Counts one send; the rumor goes when it has been told often enough.</summary>
    public void Sent(Rumor rumor, int repairs)
    {
        if (rumor.Fresh)
        {
            rumor.Fresh = false;
            rumor.SendsLeft = repairs;
            FreshCount--;
        }
        else
        {
            rumor.SendsLeft--;
        }

        if (rumor.SendsLeft <= 0)
        {
            Remove(rumor.Key);
        }
    }
}
