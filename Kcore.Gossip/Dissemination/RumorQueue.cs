namespace Kcore.Gossip;

/// <summary>
/// What a rumor is about: a member (no key), one key of an origin, or, with an empty key, how far an origin has come.
/// </summary>
internal readonly record struct RumorKey(NodeId Id, string? Key)
{
    public static RumorKey Head(NodeId origin) => new(origin, "");

    public bool IsMember => Key is null;

    public bool IsHead => Key is { Length: 0 };
}

/// <summary>Who is served first: own facts, then membership, then what others wrote.</summary>
internal enum RumorClass
{
    Own = 0,
    Membership = 1,
    Relayed = 2,
}

internal sealed class Rumor(RumorKey key, RumorClass rumorClass, long order, NodeId? source, Accusation? accusation)
{
    public RumorKey Key { get; } = key;

    public RumorClass Class { get; } = rumorClass;

    public (RumorClass Class, long Order) Rank { get; } = (rumorClass, order);

    /// <summary>Who told us; it need not be told.</summary>
    public NodeId? Source { get; } = source;

    /// <summary>Of a member: who accuses it.</summary>
    public Accusation? Accusation { get; } = accusation;

    /// <summary>The first push is still to come.</summary>
    public bool IsFresh { get; set; } = true;

    public int SendsLeft { get; set; }
}

/// <summary>
/// What is still to be told. One rumor per fact, the newest replacing the older, so the queue is never larger than the
/// state; dropping from it is safe because digests find what is missing.
/// </summary>
internal sealed class RumorQueue
{
    private readonly Dictionary<RumorKey, Rumor> _byKey = [];
    private readonly SortedDictionary<(RumorClass Class, long Order), Rumor> _fresh = [];
    private readonly SortedDictionary<(RumorClass Class, long Order), Rumor> _told = [];
    private long _order;

    public int Count => _byKey.Count;

    public bool HasFresh => _fresh.Count > 0;

    public bool HasTold => _told.Count > 0;

    /// <summary>Rumors nobody was told yet, in the order in which they are served.</summary>
    public IReadOnlyCollection<Rumor> Fresh => _fresh.Values;

    /// <summary>Rumors to be repeated.</summary>
    public IReadOnlyCollection<Rumor> Told => _told.Values;

    public void Add(RumorKey key, RumorClass rumorClass, NodeId? source, Accusation? accusation = null)
    {
        Remove(key);
        var rumor = new Rumor(key, rumorClass, _order++, source, accusation);
        _byKey[key] = rumor;
        _fresh[rumor.Rank] = rumor;
    }

    public void Remove(RumorKey key)
    {
        if (_byKey.Remove(key, out Rumor? rumor))
        {
            (rumor.IsFresh ? _fresh : _told).Remove(rumor.Rank);
        }
    }

    /// <summary>Counts the first push; the rumor goes or is repeated so many times.</summary>
    public void Pushed(Rumor rumor, int repeats)
    {
        _fresh.Remove(rumor.Rank);
        rumor.IsFresh = false;
        rumor.SendsLeft = repeats;
        if (repeats > 0)
        {
            _told[rumor.Rank] = rumor;
        }
        else
        {
            _byKey.Remove(rumor.Key);
        }
    }

    /// <summary>Counts one repetition; the rumor goes when it has been told often enough.</summary>
    public void Repeated(Rumor rumor)
    {
        if (--rumor.SendsLeft <= 0)
        {
            Remove(rumor.Key);
        }
    }
}
