using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>Deltas and snapshots that peers send.</summary>
internal sealed class PeerFacts(Turn turn, MemberTable members, Roster roster, CatalogState catalog, Replica replica, OwnOrigin own)
{
    private readonly Staging _staging = new(turn);

    /// <summary>Origins of which a snapshot is wanted although ours has the same version: the contents differ.</summary>
    private readonly HashSet<NodeId> _healing = [];

    /// <summary>Asks for a snapshot that replaces what we hold, even at the same version.</summary>
    public void Heal(OriginState origin, Exchange exchange)
    {
        turn.Emit(new GossipEffect.ContentDiverged(exchange.From, origin.Origin));
        _healing.Add(origin.Origin);
        exchange.Want(new HeadDigest(origin.Origin, 0, 0, 0));
    }

    /// <summary>Takes over what a peer of the same state knows of epochs beyond it, and what it concludes from that.</summary>
    public void AdoptLaterEpoch(OriginState origin, Surface theirs)
    {
        if (theirs.LaterEpoch > origin.LaterEpoch)
        {
            replica.MarkStale(origin, theirs.LaterEpoch);
        }

        if (theirs.IsHidden && !origin.IsHidden && theirs.LaterEpoch == origin.LaterEpoch)
        {
            replica.Hide(origin);
        }
    }

    /// <summary>Asks for what the peer has of an origin beyond ours.</summary>
    public void WantMore(NodeId id, ulong epoch, Exchange exchange)
    {
        if (OriginToFill(id, epoch) is not { } origin)
        {
            return;
        }

        if (epoch > origin.Epoch)
        {
            replica.MarkStale(origin, epoch);
        }

        // Of an epoch that is not ours any more there is nothing to add to: a snapshot it is.
        exchange.Want(new HeadDigest(id, origin.IsStale ? 0 : origin.Epoch, origin.Version, 0));
    }

    public void Forget(NodeId origin)
    {
        _staging.Drop(origin);
        _healing.Remove(origin);
        replica.Remove(origin);
    }

    public void OnDelta(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(6);
        NodeId id = reader.ReadId();
        ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong floor = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong from = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong to = reader.ReadUInt64(WireLimits.MaxVersion);
        List<CatalogEntry> entries = ReadEntries(ref reader, id, WireLimits.EntriesPerOrigin);
        reader.EndArray(extra);
        if (from >= to || entries.Exists(e => e.Version <= from || e.Version > to))
        {
            throw new WireFormatException("a delta whose entries are outside its range");
        }

        if (id == members.Self.Id)
        {
            own.Check(epoch, to);
            return;
        }

        if (OriginToFill(id, epoch) is not { } origin || epoch < origin.Epoch)
        {
            return;
        }

        if (epoch > origin.Epoch)
        {
            WantMore(id, epoch, exchange);
            return;
        }

        if (to > origin.Version + WireLimits.VersionJump)
        {
            throw new WireFormatException("a version too far ahead");
        }

        replica.Apply(origin, from, to, entries, exchange.From);
        if (from > origin.Version)
        {
            WantMore(id, epoch, exchange);
        }

        replica.RaiseFloor(origin, floor);
    }

    public void OnFloating(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(3);
        NodeId id = reader.ReadId();
        ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
        List<CatalogEntry> entries = ReadEntries(ref reader, id, WireLimits.FloatingPerOrigin);
        reader.EndArray(extra);
        if (entries.Count == 0)
        {
            return;
        }

        ulong latest = entries.Max(e => e.Version);
        if (id == members.Self.Id)
        {
            own.Check(epoch, latest);
            return;
        }

        if (OriginToFill(id, epoch) is not { } origin || epoch < origin.Epoch)
        {
            return;
        }

        if (latest > (epoch == origin.Epoch ? origin.Version : 0) + WireLimits.VersionJump)
        {
            throw new WireFormatException("a version too far ahead");
        }

        if (epoch > origin.Epoch)
        {
            if (origin.Version > 0 && !origin.IsHidden)
            {
                // The whole of that epoch may still come; until then what is held of this one is shown.
                replica.MarkStale(origin, epoch);
                return;
            }

            replica.StartOver(origin, epoch);
        }

        // The log goes on as long as the cluster does, whoever applies it.
        replica.ApplyFloating(origin, entries, exchange.From, mayDisplace: id != NodeId.Raft && members.Find(id) is { IsActive: false });
    }

    public void OnSnapshot(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(7);
        NodeId id = reader.ReadId();
        ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong version = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong floor = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong part = reader.ReadUInt64();
        bool last = reader.ReadBoolean();
        List<CatalogEntry> entries = ReadEntries(ref reader, id, WireLimits.EntriesPerOrigin);
        reader.EndArray(extra);
        if (version == 0 || floor > version || entries.Exists(e => e.Version > version))
        {
            throw new WireFormatException("a snapshot of nothing, or with entries beyond its version");
        }

        if (id == members.Self.Id)
        {
            own.Check(epoch, version);
            return;
        }

        var head = new OriginHead(id, epoch, version, floor, Complete: true);
        if (_staging.Add(id, exchange.From, head, part, last, entries) is { } staged)
        {
            Adopt(id, staged);
        }
    }

    private void Adopt(NodeId id, StagedSnapshot staged)
    {
        (ulong epoch, ulong version) = (staged.Head.Epoch, staged.Head.Version);
        if (OriginToFill(id, epoch) is not { } origin)
        {
            return;
        }

        bool heals = _healing.Remove(id) && epoch == origin.Epoch && version == origin.Version;
        if (epoch > origin.Epoch || (epoch == origin.Epoch && version > origin.Version) || heals)
        {
            replica.Replace(origin, epoch, version, staged.Head.GcFloor, Replica.LatestPerKey(staged.Entries));
        }
    }

    /// <summary>The state a peer's news of an origin goes into; null when the origin was removed or there are too many.</summary>
    private OriginState? OriginToFill(NodeId id, ulong epoch)
    {
        if (id == members.Self.Id || roster.IsForgotten(id))
        {
            return null;
        }

        OriginState? origin = catalog.Find(id);
        if (origin is null)
        {
            return catalog.Origins.Count < WireLimits.Origins ? catalog.GetOrAdd(id, epoch) : null;
        }

        if (origin.Count == 0 && origin.Version == 0)
        {
            // Nothing is held that an epoch could be of.
            origin.Restart(epoch);
        }

        return origin;
    }

    private static List<CatalogEntry> ReadEntries(ref MessagePackReader reader, NodeId origin, int most)
    {
        int count = reader.ReadArrayHeader(most);
        List<CatalogEntry> entries = [];
        for (int i = 0; i < count; i++)
        {
            entries.Add(CatalogEntry.Parse(origin, reader.ReadRaw().ToArray()));
        }

        return entries;
    }
}
