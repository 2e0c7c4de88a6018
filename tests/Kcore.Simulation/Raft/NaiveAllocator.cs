using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;

namespace Kcore.Simulation.Raft;

/// <summary>
/// The allocator once more, as plainly as it can be written: what was granted is a set, the next address is the first of
/// the list that is not in it, or the first that was given back long enough ago. Only the kind of an answer and the address
/// are compared.
/// </summary>
internal sealed class NaiveAllocator
{
    private const ulong TenMinutes = 600_000;

    private readonly Dictionary<NetworkUid, Pool> _pools = [];
    private readonly Dictionary<AttachmentId, (NetworkUid Network, string Address, ReplicatedCommand.Allocate Request)> _leases = [];
    private readonly HashSet<AttachmentId> _released = [];
    private readonly HashSet<AttachmentId> _orphans = [];
    private readonly HashSet<Guid> _nodes = [];
    private readonly Dictionary<Guid, Guid> _holders = [];
    private readonly Dictionary<AttachmentId, Guid> _nodeOf = [];
    private readonly Dictionary<Guid, (MovingNic Nic, string State)> _moves = [];
    private ulong _clock;

    public IReadOnlyCollection<AttachmentId> Held => _leases.Keys;

    /// <summary>The addresses of a pool in the order in which they are granted: from .2 to the end, then .1 (behaviours 25–28).</summary>
    public static List<string> OrderOf(ReplicatedCommand.CreatePool spec)
    {
        byte[] network = spec.Subnet.BaseAddress.GetAddressBytes();
        int hosts = (1 << (32 - spec.Subnet.PrefixLength)) - 2;
        return
        [
            .. Enumerable.Range(2, hosts - 1).Append(1)
                .Select(offset => new IPAddress([network[0], network[1], (byte)(network[2] + (offset >> 8)), (byte)(network[3] + offset)]).ToString())
                .Where(address => address != spec.Gateway.ToString() && !spec.Exclusions.Any(e => e.ToString() == address)),
        ];
    }

    /// <summary>The address of a grant, or the name of the refusal, or "done".</summary>
    public string Apply(ulong index, ReplicatedCommand command) => command switch
    {
        ReplicatedCommand.CreatePool create => Apply(create),
        ReplicatedCommand.Allocate allocate => Apply(allocate),
        ReplicatedCommand.NodeAdd add => Admit(add.Member.NodeUid),
        ReplicatedCommand.GrantReserve grant => Apply(index, grant),
        ReplicatedCommand.UseReserve use => Apply(use),
        ReplicatedCommand.ReturnReserve back => Apply(index, back),
        ReplicatedCommand.Release release => Apply(index, release),
        ReplicatedCommand.AdvanceClock advance => Apply(advance),
        ReplicatedCommand.Reclaim reclaim => Apply(index, reclaim),
        ReplicatedCommand.MarkOrphaned mark => Mark(mark.Attachment, mark.NodeUid, isOrphan: true),
        ReplicatedCommand.Adopt adopt => Mark(adopt.Attachment, adopt.NodeUid, isOrphan: false),
        ReplicatedCommand.ReleaseOrphan release => Apply(index, release),
        ReplicatedCommand.BeginMove begin => Apply(begin),
        ReplicatedCommand.HandOver over => HandOver(over.Move),
        ReplicatedCommand.AbortMove abort => Abort(abort.Move),
        ReplicatedCommand.AcknowledgeMove known => Acknowledge(known),
        _ => "done",
    };

    public static string Describe(ReplicatedResult result) => result switch
    {
        ReplicatedResult.Granted granted => granted.Address.ToString(),
        ReplicatedResult.Refused refused => refused.Code.ToString(),
        ReplicatedResult.Parked parked => $"{parked.Holder}: {string.Join(' ', parked.Addresses.Select(p => $"{p.Address}@{p.GrantIndex}"))}",
        _ => "done",
    };

    /// <summary>Free and parked addresses of a pool.</summary>
    public (long Free, long Parked) Count(NetworkUid network) => _pools.TryGetValue(network, out Pool? pool)
        ? (pool.Order.Count(pool.IsUnused) + pool.Back.Count(back => back.IsRested), pool.Parked.Count)
        : default;

    /// <summary>Where the NIC is that holds a lease.</summary>
    public Guid NodeOf(AttachmentId attachment) => _nodeOf.TryGetValue(attachment, out Guid node) ? node : _leases[attachment].Request.NodeUid;

    // One word for how far a move is: begun, over, heard by one of the two, done, given up.
    private string Apply(ReplicatedCommand.BeginMove begin)
    {
        if (_moves.TryGetValue(begin.Move, out var known))
        {
            return known.State is "done" or "given up" ? nameof(RefusalCode.FailedPrecondition) : known.Nic == begin.Nic ? "done" : nameof(RefusalCode.AlreadyExists);
        }

        if (begin.Nic.From == begin.Nic.To)
        {
            return nameof(RefusalCode.InvalidArgument);
        }

        if (!_nodes.Contains(begin.Nic.To))
        {
            return nameof(RefusalCode.NotFound);
        }

        if (_moves.Values.Any(m => m.State == "begun" && m.Nic.Attachment == begin.Nic.Attachment))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        if (!_leases.ContainsKey(begin.Nic.Attachment))
        {
            return nameof(RefusalCode.NotFound);
        }

        if (NodeOf(begin.Nic.Attachment) != begin.Nic.From || _orphans.Contains(begin.Nic.Attachment))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        _moves[begin.Move] = (begin.Nic, "begun");
        return "done";
    }

    private string HandOver(Guid move)
    {
        if (!_moves.TryGetValue(move, out var known))
        {
            return nameof(RefusalCode.NotFound);
        }

        if (known.State == "begun")
        {
            _moves[move] = (known.Nic, "over");
            _nodeOf[known.Nic.Attachment] = known.Nic.To;
            _orphans.Remove(known.Nic.Attachment);
        }

        return known.State == "given up" ? nameof(RefusalCode.FailedPrecondition) : "done";
    }

    private string Abort(Guid move)
    {
        if (_moves.TryGetValue(move, out var known) && known.State is not ("begun" or "given up"))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        _moves[move] = (known.Nic, "given up");
        return "done";
    }

    private string Acknowledge(ReplicatedCommand.AcknowledgeMove known)
    {
        if (!_moves.TryGetValue(known.Move, out var move) || move.State is "done" or "given up")
        {
            return "done";
        }

        string who = known.NodeUid == move.Nic.From ? "source" : known.NodeUid == move.Nic.To ? "target" : move.State;
        if (move.State != "begun")
        {
            _moves[known.Move] = (move.Nic, move.State == "over" || move.State == who ? who : "done");
        }

        return move.State == "begun" ? nameof(RefusalCode.FailedPrecondition) : "done";
    }

    private string Admit(Guid node)
    {
        _nodes.Add(node);
        return "done";
    }

    // From the end of the addresses as people write them; only half of them is ever parked.
    private string Apply(ulong index, ReplicatedCommand.GrantReserve grant)
    {
        if (!_nodes.Contains(grant.NodeUid) || !_pools.TryGetValue(grant.Network, out Pool? pool))
        {
            return nameof(RefusalCode.NotFound);
        }

        Guid before = _holders.GetValueOrDefault(grant.NodeUid);
        if (before != grant.Holder && before != grant.Instead)
        {
            return $"{before}: ";
        }

        foreach (Pool every in _pools.Values.Where(_ => before != grant.Holder))
        {
            foreach (string address in every.Parked.Where(row => row.Value.Node == grant.NodeUid).Select(row => row.Key).ToArray())
            {
                every.Parked.Remove(address);
                every.Granted.Add(address);
            }
        }

        _holders[grant.NodeUid] = grant.Holder;
        while (pool.Parked.Values.Count(row => row.Node == grant.NodeUid) < pool.Spec.Reserve && pool.Parked.Count < pool.Order.Count / 2)
        {
            string? address = pool.Order.Where(pool.IsUnused).MaxBy(Last);
            if (address is null && (address = pool.Back.Where(back => back.IsRested).Select(back => back.Address).MaxBy(Last)) is not null)
            {
                pool.TakeBack(address);
            }

            if (address is null)
            {
                break;
            }

            pool.Parked[address] = (grant.NodeUid, index);
        }

        return $"{grant.Holder}: {string.Join(' ', pool.Parked.Where(row => row.Value.Node == grant.NodeUid).OrderByDescending(row => Last(row.Key)).Select(row => $"{row.Key}@{row.Value.Index}"))}";

        // Subnets here are no larger than a /24.
        static int Last(string address) => IPAddress.Parse(address).GetAddressBytes()[3];
    }

    private string Apply(ReplicatedCommand.UseReserve use)
    {
        string address = use.Address.ToString();
        if (_leases.TryGetValue(use.Attachment, out var held))
        {
            _orphans.Remove(use.Attachment);
            return held.Address == address ? address : nameof(RefusalCode.FailedPrecondition);
        }

        if (_released.Contains(use.Attachment))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        if (!_pools.TryGetValue(use.Network, out Pool? pool))
        {
            return nameof(RefusalCode.NotFound);
        }

        if (!pool.Parked.TryGetValue(address, out var row) || row != (use.NodeUid, use.GrantIndex))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        if (_leases.Values.Any(lease => lease.Network == use.Network && lease.Request.Mac.Equals(use.Mac)))
        {
            return nameof(RefusalCode.AlreadyExists);
        }

        pool.Parked.Remove(address);
        pool.Granted.Add(address);
        _leases.Add(use.Attachment, (use.Network, address, new ReplicatedCommand.Allocate(use.Attachment, use.Network, use.NicName, use.Mac, use.NodeUid, null)));
        return address;
    }

    private string Apply(ulong index, ReplicatedCommand.ReturnReserve back)
    {
        string address = back.Address.ToString();
        if (_pools.TryGetValue(back.Network, out Pool? pool) && pool.Parked.TryGetValue(address, out var row) && row == (back.NodeUid, back.GrantIndex))
        {
            pool.Parked.Remove(address);
            bool isNew = pool.OnceUsed.Add(address);
            if (!back.WasUsed && isNew)
            {
                pool.OnceUsed.Remove(address);
            }
            else
            {
                pool.Granted.Add(address);
                if (!back.WasUsed || pool.Spec.Reuse == AddressReuse.Quarantine)
                {
                    pool.Back.Add(new Returned(address, index));
                }
            }
        }

        return "done";
    }

    private string Apply(ReplicatedCommand.CreatePool create)
    {
        if (_pools.TryGetValue(create.Network, out Pool? known))
        {
            return known.Spec == create ? "done" : nameof(RefusalCode.AlreadyExists);
        }

        _pools.Add(create.Network, new Pool(create, OrderOf(create), []));
        return "done";
    }

    private string Apply(ReplicatedCommand.Allocate allocate)
    {
        if (_leases.TryGetValue(allocate.Attachment, out var held))
        {
            if (NodeOf(allocate.Attachment) != allocate.NodeUid)
            {
                return nameof(RefusalCode.FailedPrecondition);
            }

            _orphans.Remove(allocate.Attachment);
            return held.Address;
        }

        if (_released.Contains(allocate.Attachment))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        if (!_pools.TryGetValue(allocate.Network, out Pool? pool))
        {
            return nameof(RefusalCode.NotFound);
        }

        string? address = allocate.Wanted?.ToString() ?? pool.Order.Find(pool.IsUnused) ?? pool.TakeBack();
        if (address is null)
        {
            return nameof(RefusalCode.ResourceExhausted);
        }

        if (pool.Parked.ContainsKey(address) || !pool.Granted.Add(address))
        {
            return nameof(RefusalCode.AlreadyExists);
        }

        _leases.Add(allocate.Attachment, (allocate.Network, address, allocate));
        return address;
    }

    private string Apply(ulong index, ReplicatedCommand.Release release)
    {
        if (_leases.ContainsKey(release.Attachment))
        {
            if (NodeOf(release.Attachment) != release.NodeUid)
            {
                return nameof(RefusalCode.FailedPrecondition);
            }

            End(index, release.Attachment);
            return "done";
        }

        // What is given up before it was granted is never granted; the first versions called that a mistake.
        if (release.Network is not null)
        {
            _released.Add(release.Attachment);
        }

        return _released.Contains(release.Attachment) ? "done" : nameof(RefusalCode.NotFound);
    }

    private string Apply(ulong index, ReplicatedCommand.ReleaseOrphan release)
    {
        if (_orphans.Contains(release.Attachment))
        {
            End(index, release.Attachment);
            return "done";
        }

        return _leases.ContainsKey(release.Attachment) ? nameof(RefusalCode.FailedPrecondition)
            : _released.Contains(release.Attachment) ? "done"
            : nameof(RefusalCode.NotFound);
    }

    private string Mark(AttachmentId attachment, Guid node, bool isOrphan)
    {
        if (!_leases.ContainsKey(attachment) || NodeOf(attachment) != node)
        {
            return nameof(RefusalCode.NotFound);
        }

        _ = isOrphan ? _orphans.Add(attachment) : _orphans.Remove(attachment);
        return "done";
    }

    private void End(ulong index, AttachmentId attachment)
    {
        foreach (Guid move in _moves.Where(m => m.Value is { State: "begun", Nic: { } nic } && nic.Attachment == attachment).Select(m => m.Key).ToArray())
        {
            _moves[move] = (_moves[move].Nic, "given up");
        }

        _leases.Remove(attachment, out var held);
        _nodeOf.Remove(attachment);
        _orphans.Remove(attachment);
        _released.Add(attachment);
        if (_pools[held.Network].Spec.Reuse == AddressReuse.Quarantine)
        {
            _pools[held.Network].Back.Add(new Returned(held.Address, index));
        }
    }

    private string Apply(ReplicatedCommand.AdvanceClock advance)
    {
        if (advance.Millis > _clock + 3_600_000)
        {
            return nameof(RefusalCode.InvalidArgument);
        }

        _clock = Math.Max(_clock, advance.Millis);
        foreach (Returned back in _pools.Values.SelectMany(pool => pool.Back))
        {
            back.IsRested |= _clock - back.Since >= TenMinutes;
            back.Since ??= back.Index <= advance.Seen ? _clock : null;
        }

        return "done";
    }

    private string Apply(ulong index, ReplicatedCommand.Reclaim reclaim)
    {
        if (!_pools.TryGetValue(reclaim.Network, out Pool? pool))
        {
            return nameof(RefusalCode.NotFound);
        }

        pool.Back.AddRange(pool.Granted
            .Where(address => pool.Back.TrueForAll(back => back.Address != address)
                && !_leases.Values.Any(lease => lease.Network == reclaim.Network && lease.Address == address))
            .Select(address => new Returned(address, index)));
        return "done";
    }

    private sealed record Pool(ReplicatedCommand.CreatePool Spec, List<string> Order, HashSet<string> Granted)
    {
        private int _last = -1;

        public List<Returned> Back { get; } = [];

        public Dictionary<string, (Guid Node, ulong Index)> Parked { get; } = [];

        /// <summary>Of those that are parked, the ones that a guest may have had before.</summary>
        public HashSet<string> OnceUsed { get; } = [];

        private string? NextBack => Order.Skip(_last + 1).Concat(Order.Take(_last + 1)).FirstOrDefault(a => Back.Exists(back => back.Address == a && back.IsRested));

        public bool IsUnused(string address) => !Granted.Contains(address) && !Parked.ContainsKey(address);

        // Around the circle from the one that was given again last.
        public string? TakeBack()
        {
            string? next = NextBack;
            if (next is not null)
            {
                TakeBack(next);
            }

            return next;
        }

        public void TakeBack(string address)
        {
            _last = address == NextBack ? Order.IndexOf(address) : _last;
            Back.RemoveAll(back => back.Address == address);
            Granted.Remove(address);
            OnceUsed.Add(address);
        }
    }

    private sealed record Returned(string Address, ulong Index)
    {
        public ulong? Since { get; set; }

        public bool IsRested { get; set; }
    }
}
