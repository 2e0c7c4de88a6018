using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl get ips</c> shows: the addresses of one network and who has them.</summary>
public sealed record NetworkAddresses
{
    public required string Network { get; init; }

    public required string Type { get; init; }

    /// <summary>CIDR.</summary>
    public required string Subnet { get; init; }

    /// <summary>First and last address given to guests of a <c>nat</c> network; <see cref="Size"/> counts these.</summary>
    public string? DhcpRange { get; init; }

    /// <summary>Addresses that could ever be given to guests.</summary>
    public required long Size { get; init; }

    public required long Used { get; init; }

    /// <summary>Addresses that may be given now; those of an overlay may be used once or rest first, so it may be less than size − used.</summary>
    public required long Free { get; init; }

    /// <summary>Addresses that were given back and are given again later.</summary>
    public long Resting { get; init; }

    /// <summary>Addresses whose lease has lost its NIC.</summary>
    public long Orphaned { get; init; }

    /// <summary><c>never</c> or <c>quarantine</c>; overlays only.</summary>
    public string? AddressReuse { get; init; }

    /// <summary>Addresses every node is granted in advance, for attaches without quorum; overlays only.</summary>
    public int? EmergencyReserve { get; init; }

    /// <summary>The address the next NIC gets; null when none is left.</summary>
    public string? Next { get; init; }

    /// <summary>Never given out, ascending.</summary>
    public required ImmutableArray<ReservedRange> Reserved { get; init; }

    /// <summary>By address.</summary>
    public required ImmutableArray<AddressLease> Leases { get; init; }

    /// <summary>
    /// Whether a quorum confirmed that this misses nothing the log had committed when it was asked; overlays only.
    /// </summary>
    public bool? Confirmed { get; init; }

    /// <summary>Why it is not confirmed, in words; null when it is, and for networks without a pool.</summary>
    public string? Unconfirmed { get; init; }

    /// <summary>The answer has what the log committed up to here; overlays only.</summary>
    public ulong? LogIndex { get; init; }

    /// <summary>The emergency reserves of the nodes, by address.</summary>
    public ImmutableArray<ParkedLease> Parked { get; init; } = [];
}

/// <summary>One address that only one node can give out, when there is no quorum.</summary>
/// <param name="State"><c>parked</c>, or <c>used</c>: a NIC of the node has it, and the log does not know yet.</param>
/// <param name="Nic">The NIC that has it; null while it is <c>parked</c>.</param>
public sealed record ParkedLease(string Address, string Node, string NodeId, string State, string? Nic = null);

/// <param name="Last">Equal to <paramref name="First"/> for one address.</param>
/// <param name="Reason"><c>gateway</c> or <c>excluded</c>.</param>
public sealed record ReservedRange(string First, string Last, string Reason);

/// <summary>One address of one NIC.</summary>
/// <param name="State">
/// <c>held</c>, or <c>orphaned</c>: its NIC is known nowhere any more, or on a <c>nat</c> network its node is not; held until
/// the NIC comes back or an operator releases it.
/// </param>
/// <param name="AttachmentId">128 bits, hexadecimal.</param>
public sealed record AddressLease(string Address, string Nic, string Node, string NodeId, string Mac, string State, string AttachmentId);
