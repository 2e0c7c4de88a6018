using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Dissemination on change: news is pushed on first sight and told a few times more; digests do the rest. What is sent
/// is bounded by an allowance of the node and one of each destination. Under pressure everything is told to fewer, and
/// large facts are only announced: overload costs time, never memory or correctness.
/// </summary>
internal sealed class Disseminator(Turn turn, Outbox outbox, MemberTable members, CatalogState catalog)
{
    /// <summary>Up to this size the origin of a fact tells everybody itself.</summary>
    private const int SmallCluster = 33;
    private const int SmallFanOut = 2;
    private const int LargeFanOut = 4;
    private const int BurstBytes = 64 * 1024;
    private const int RepeatedAtOnce = 64;

    /// <summary>Below this part of the allowance the node is under pressure.</summary>
    private const double PressureLevel = 0.25;

    /// <summary>Facts above this size are announced under pressure: who lacks them asks, who has them need not read them.</summary>
    private const int AnnouncedBytes = 256;

    /// <summary>What a frame adds to a fact, roughly; only for the decision how many facts to send at once.</summary>
    private const int FrameBytes = 64;
    private const int MemberBytes = 128;

    /// <summary>Facts of one origin that are passed on one by one in a second; beyond it only how far it has come.</summary>
    private const double FactsPerSecond = 200;
    private static readonly TimeSpan PushDelay = TimeSpan.FromMilliseconds(20);
    private readonly RumorQueue _rumors = new();
    private readonly Allowance _allowance = new(turn.Options.RumorBytesPerSecond, BurstBytes, turn.Now);
    private TimeSpan _pushDue = TimeSpan.MaxValue;
    private TimeSpan _repeatDue;

    public TimeSpan NextEvent => Turn.Sooner(
        _rumors.HasFresh ? _pushDue : TimeSpan.MaxValue,
        _rumors.HasTold ? _repeatDue : TimeSpan.MaxValue);

    private bool IsSmall => members.ActiveCount <= SmallCluster;

    private bool IsPressed => _allowance.Level(turn.Now) < PressureLevel;

    /// <summary>Passes on what is held of a member. Without a source it is this node's own statement and goes at once.</summary>
    public void TellMember(NodeId id, NodeId? source, Accusation? accusation) =>
        Add(new RumorKey(id, null), source is null ? RumorClass.Own : RumorClass.Membership, source, accusation);

    public void DropMember(NodeId id) => _rumors.Remove(new RumorKey(id, null));

    /// <summary>Passes on one fact; or, of an origin that writes faster than anybody should, only how far it has come.</summary>
    public void TellEntry(OriginState origin, string key, NodeId? source)
    {
        origin.Rate ??= new Allowance(FactsPerSecond, FactsPerSecond, turn.Now);
        RumorKey about = origin.Rate.TrySpend(1, turn.Now) ? new RumorKey(origin.Origin, key) : RumorKey.Head(origin.Origin);
        Add(about, source is null ? RumorClass.Own : RumorClass.Relayed, source, null);
    }

    public void Run()
    {
        if (_rumors.HasFresh && turn.Now >= _pushDue)
        {
            Push();
        }

        if (_rumors.HasTold && turn.Now >= _repeatDue)
        {
            Repeat();
        }
    }

    private void Add(RumorKey key, RumorClass rumorClass, NodeId? source, Accusation? accusation)
    {
        _rumors.Add(key, rumorClass, source, accusation);
        _pushDue = Turn.Sooner(_pushDue, rumorClass == RumorClass.Own ? turn.Now : turn.Now + turn.Options.Coalesce);
    }

    private void Push()
    {
        double level = _allowance.Level(turn.Now);
        if (level <= 0)
        {
            _pushDue = turn.Now + PushDelay;
            return;
        }

        bool small = IsSmall;
        int fanOut = small || IsPressed ? SmallFanOut : LargeFanOut;
        List<Rumor> batch = NextBatch(level * BurstBytes / fanOut);
        NodeId? knows = batch[0].Source is { } source && batch.TrueForAll(r => r.Source == source) ? source : null;
        List<NodeId> some = small ? PeerChoice.Around(members, fanOut, except: knows) : PeerChoice.Some(turn.Random, members, fanOut, except: knows);
        IReadOnlyList<byte[]> all = Datagrams(batch);
        foreach (NodeId target in some)
        {
            Tell(target, all);
        }

        if (small && members.Others.Length > some.Count && batch.Exists(r => r.Class == RumorClass.Own))
        {
            IReadOnlyList<byte[]> own = Datagrams(batch.FindAll(r => r.Class == RumorClass.Own));
            foreach (NodeId target in members.Others.ToArray().Except(some))
            {
                Tell(target, own);
            }
        }

        foreach (Rumor rumor in batch)
        {
            _rumors.Pushed(rumor, Repeats(rumor));
        }

        _pushDue = _rumors.HasFresh ? turn.Now + PushDelay : TimeSpan.MaxValue;
        _repeatDue = turn.Now + turn.Options.RepairTick;
    }

    /// <summary>The fresh rumors that the allowance covers, at least one.</summary>
    private List<Rumor> NextBatch(double room)
    {
        List<Rumor> batch = [];
        double size = 0;
        foreach (Rumor rumor in _rumors.Fresh)
        {
            size += FrameBytes + (rumor.Key.IsMember ? MemberBytes : rumor.Key.IsHead ? 0 : catalog.Find(rumor.Key.Id)?.Held(rumor.Key.Key!)?.Raw.Length ?? 0);
            if (batch.Count > 0 && size > room)
            {
                break;
            }

            batch.Add(rumor);
        }

        return batch;
    }

    /// <summary>
    /// Sends after the push: the whole budget is ln(N + 1) + 4, by the residual of an epidemic that ends by itself; under
    /// pressure it is three. In a small cluster everybody was told by its owner and by two who relay; then only the owner
    /// repeats, and of three members each, because there is but one who relays.
    /// </summary>
    private int Repeats(Rumor rumor)
    {
        if (members.ActiveCount <= 1)
        {
            return 0;
        }

        if (IsSmall)
        {
            return rumor.Class == RumorClass.Own || members.ActiveCount <= 3 ? 1 : 0;
        }

        return IsPressed ? 1 : (int)Math.Ceiling(Math.Log(members.ActiveCount + 1));
    }

    private void Repeat()
    {
        _repeatDue = turn.Now + turn.Options.RepairTick;
        List<Rumor> batch = [.. _rumors.Told.Take(RepeatedAtOnce)];
        if (_allowance.Level(turn.Now) > 0)
        {
            foreach (NodeId target in PeerChoice.Some(turn.Random, members, 1))
            {
                Tell(target, Datagrams(batch.FindAll(r => r.Source != target)));
            }
        }

        foreach (Rumor rumor in batch)
        {
            _rumors.Repeated(rumor);
        }
    }

    private IReadOnlyList<byte[]> Datagrams(List<Rumor> batch)
    {
        bool pressed = IsPressed;
        if (batch is [{ Key: { IsMember: false, Key: { } only, Id: var its } }] && Telling(its, only, pressed) is { } one
            && OriginFrames.Versions(one.Origin, [one.Entry.Version], WireLimits.PayloadBytes) is [var frame])
        {
            // What nearly every push is: one fact that has come alone. It needs no sorting.
            return [frame];
        }

        List<byte[]> frames = [];
        SortedDictionary<NodeId, SortedSet<ulong>> versions = [];
        SortedSet<NodeId> announced = [];
        foreach (Rumor rumor in batch)
        {
            NodeId id = rumor.Key.Id;
            if (rumor.Key.Key is not { } key)
            {
                if (members.Find(id) is { } member)
                {
                    frames.Add(Frames.Member(member, rumor.Accusation));
                }
            }
            else if (Telling(id, key, pressed) is { Entry: var entry })
            {
                if (!versions.TryGetValue(id, out SortedSet<ulong>? set))
                {
                    versions[id] = set = [];
                }

                set.Add(entry.Version);
            }
            else
            {
                // Below the floor of its origin a fact has no place in a delta any more; it is part of a snapshot.
                announced.Add(id);
            }
        }

        foreach ((NodeId id, SortedSet<ulong> set) in versions)
        {
            if (OriginFrames.Versions(catalog.Find(id)!, set, WireLimits.PayloadBytes) is { } deltas)
            {
                frames.AddRange(deltas);
            }
            else
            {
                // What does not fit a datagram is announced; the receiver asks and gets it by stream.
                announced.Add(id);
            }
        }

        if (announced.Count == 0)
        {
            return Packets.Pack(frames, WireLimits.PayloadBytes);
        }

        List<HeadDigest> heads = [.. announced.Select(catalog.Find).OfType<OriginState>().Where(o => o.Version > 0).Select(o => catalog.HeadOf(o))];
        frames.AddRange(heads.Chunk(Summaries.HeadsPerDatagram).Select(c => Frames.Heads(BucketSet.None, c)));
        return Packets.Pack(frames, WireLimits.PayloadBytes);
    }

    /// <summary>The fact itself if it may be told; null when its origin is only announced.</summary>
    private (OriginState Origin, CatalogEntry Entry)? Telling(NodeId id, string key, bool pressed) =>
        catalog.Find(id) is { } origin && origin.Held(key) is { } entry
            && entry.Version > origin.GcFloor && !(pressed && entry.Raw.Length > AnnouncedBytes)
            ? (origin, entry)
            : null;

    private void Tell(NodeId target, IReadOnlyList<byte[]> datagrams)
    {
        if (members.Slot(target) is not { } slot)
        {
            return;
        }

        slot.Budget ??= new Allowance(turn.Options.RumorBytesPerSecond / 2.0, BurstBytes / 2.0, turn.Now);
        if (slot.Budget.Level(turn.Now) <= 0)
        {
            // It gets no more than it may have to read; its next digest will differ, and it asks.
            return;
        }

        foreach (byte[] datagram in datagrams)
        {
            slot.Budget.Spend(datagram.Length, turn.Now);
            _allowance.Spend(datagram.Length, turn.Now);
            outbox.Send(target, slot.Record.Endpoint, datagram);
        }
    }
}
