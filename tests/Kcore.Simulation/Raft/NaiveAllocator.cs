using System.Net;
using Kcore.Daemon.Ipam;

namespace Kcore.Simulation.Raft;

/// <summary>
/// The allocator once more, as plainly as it can be written: what was granted is a set, the next address is the first of
/// the list that is not in it. Only the kind of an answer and the address are compared.
/// </summary>
internal sealed class NaiveAllocator
{
    private readonly Dictionary<NetworkUid, (ReplicatedCommand.CreatePool Spec, List<string> Order, HashSet<string> Granted)> _pools = [];
    private readonly Dictionary<AttachmentId, (NetworkUid Network, string Address, ReplicatedCommand.Allocate Request)> _leases = [];
    private readonly HashSet<AttachmentId> _released = [];

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
    public string Apply(ReplicatedCommand command) => command switch
    {
        ReplicatedCommand.CreatePool create => Apply(create),
        ReplicatedCommand.Allocate allocate => Apply(allocate),
        ReplicatedCommand.Release release => Apply(release),
        _ => "done",
    };

    public static string Describe(ReplicatedResult result) => result switch
    {
        ReplicatedResult.Granted granted => granted.Address.ToString(),
        ReplicatedResult.Refused refused => refused.Code.ToString(),
        _ => "done",
    };

    private string Apply(ReplicatedCommand.CreatePool create)
    {
        if (_pools.TryGetValue(create.Network, out var known))
        {
            return known.Spec == create ? "done" : nameof(RefusalCode.AlreadyExists);
        }

        _pools.Add(create.Network, (create, OrderOf(create), []));
        return "done";
    }

    private string Apply(ReplicatedCommand.Allocate allocate)
    {
        if (_leases.TryGetValue(allocate.Attachment, out var held))
        {
            return held.Address;
        }

        if (_released.Contains(allocate.Attachment))
        {
            return nameof(RefusalCode.FailedPrecondition);
        }

        if (!_pools.TryGetValue(allocate.Network, out var pool))
        {
            return nameof(RefusalCode.NotFound);
        }

        string? address = allocate.Wanted?.ToString() ?? pool.Order.Find(candidate => !pool.Granted.Contains(candidate));
        if (address is null)
        {
            return nameof(RefusalCode.ResourceExhausted);
        }

        if (!pool.Granted.Add(address))
        {
            return nameof(RefusalCode.AlreadyExists);
        }

        _leases.Add(allocate.Attachment, (allocate.Network, address, allocate));
        return address;
    }

    private string Apply(ReplicatedCommand.Release release)
    {
        if (_leases.Remove(release.Attachment))
        {
            _released.Add(release.Attachment);
            return "done";
        }

        return _released.Contains(release.Attachment) ? "done" : nameof(RefusalCode.NotFound);
    }
}
