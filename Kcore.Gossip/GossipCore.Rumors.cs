using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// Dissemination on change: news is pushed on first sight and told a few times more; digests do the rest.
public sealed partial class GossipCore
{
    /// <summary>Up to this size the origin of a fact tells everybody itself.</summary>
    private const int SmallCluster = 33;
    private const int SmallFanOut = 2;
    private const int LargeFanOut = 4;
    private const int BurstBytes = 64 * 1024;
    private const int RepairRumors = 64;
    private static readonly TimeSpan PushDelay = TimeSpan.FromMilliseconds(20);
    private readonly RumorQueue _rumors = new();
    private TimeSpan _pushDue = TimeSpan.MaxValue;
    private TimeSpan _repairDue;
    private double _tokens = BurstBytes;
    private TimeSpan _tokensAt;

    private TimeSpan NextRumorEvent()
    {
        TimeSpan push = _rumors.FreshCount > 0 ? _pushDue : TimeSpan.MaxValue;
        return _rumors.Count > _rumors.FreshCount ? Sooner(push, _repairDue) : push;
    }

    private void RunRumors()
    {
        if (_rumors.FreshCount > 0 && _now >= _pushDue)
        {
            Push();
        }

        if (_rumors.Count > _rumors.FreshCount && _now >= _repairDue)
        {
            Repeat();
        }
    }

    private void Push()
    {
        Refill();
        if (_tokens <= 0)
        {
            _pushDue = _now + PushDelay;
            return;
        }

        _pushDue = TimeSpan.MaxValue;
        List<Rumor> fresh = [.. _rumors.Ordered.Where(r => r.Fresh)];
        bool small = _members.ActiveCount <= SmallCluster;
        List<NodeId> some = PickOthers(small ? SmallFanOut : LargeFanOut, fresh[0].Source is { } source && fresh.TrueForAll(r => r.Source == source) ? id => id != source : null);
        List<Rumor> own = [.. fresh.Where(r => r.Class == RumorClass.Own)];
        foreach (NodeId target in small && own.Count > 0 ? _members.Others : [.. some])
        {
            Tell(target, some.Contains(target) ? fresh : own);
        }

        int repairs = Repairs(small);
        foreach (Rumor rumor in fresh)
        {
            _rumors.Sent(rumor, repairs);
        }

        _repairDue = _now + _options.RepairTick;
    }

    /// <summary>Sends after the push: the whole budget is ln(N + 1) + 4 (background: residual of a terminating epidemic).</summary>
    private int Repairs(bool small)
    {
        if (_members.ActiveCount <= 1)
        {
            return 0;
        }

        return small ? 1 : (int)Math.Ceiling(Math.Log(_members.ActiveCount + 1));
    }

    private void Repeat()
    {
        _repairDue = _now + _options.RepairTick;
        Refill();
        List<Rumor> rumors = [.. _rumors.Ordered.Where(r => !r.Fresh).Take(RepairRumors)];
        foreach (NodeId target in _tokens > 0 ? PickOthers(1) : [])
        {
            Tell(target, rumors);
        }

        foreach (Rumor rumor in rumors)
        {
            _rumors.Sent(rumor, 0);
        }
    }

    private void Tell(NodeId target, IEnumerable<Rumor> rumors)
    {
        List<byte[]> frames = [];
        SortedDictionary<NodeId, SortedSet<ulong>> versions = [];
        foreach (Rumor rumor in rumors)
        {
            if (rumor.Source == target)
            {
                continue;
            }

            if (rumor.Key.Key is not { } key)
            {
                if (_members.Find(rumor.Key.Id) is { } member)
                {
                    frames.Add(Frames.Member(member, rumor.Accuser));
                }
            }
            else if (Catalog.Find(rumor.Key.Id)?.Find(key) is { } entry)
            {
                if (!versions.TryGetValue(rumor.Key.Id, out SortedSet<ulong>? set))
                {
                    versions[rumor.Key.Id] = set = [];
                }

                set.Add(entry.Version);
            }
        }

        foreach ((NodeId id, SortedSet<ulong> set) in versions)
        {
            OriginState origin = Catalog.Find(id)!;
            // What does not fit a datagram is announced; the receiver asks and gets it by stream.
            frames.AddRange(OriginFrames.Versions(origin, set, DatagramBudget)
                ?? [Frames.Heads(0, [new HeadDigest(id, origin.Epoch, origin.Version, origin.Content, IsSourceOf(id))])]);
        }

        _tokens -= frames.Sum(f => f.Length);
        SendTo(target, frames);
    }

    private void Refill()
    {
        double earned = (_now - _tokensAt).TotalSeconds * _options.RumorBytesPerSecond;
        _tokens = Math.Min(BurstBytes, _tokens + earned);
        _tokensAt = _now;
    }
}
