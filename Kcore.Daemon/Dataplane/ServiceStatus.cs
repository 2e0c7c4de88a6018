using System.Collections.Immutable;

namespace Kcore.Daemon.Dataplane;

/// <summary>What runs beside the kernel for the networks of this node; whoever runs it replaces it whole.</summary>
/// <param name="Dhcp">By the name of the nat network.</param>
internal sealed record ServiceStatus(ImmutableSortedDictionary<string, DhcpHealth> Dhcp)
{
    public static ServiceStatus None { get; } = new(ImmutableSortedDictionary.Create<string, DhcpHealth>(StringComparer.Ordinal));

    /// <summary>Whether a guest that asks for its address now is given the one reserved for it, or never will be.</summary>
    public bool HasAnswerFor(string network, string attachment) =>
        Dhcp.TryGetValue(network, out DhcpHealth? health) && (health.Failure is not null || health.Attachments.Contains(attachment));
}

/// <param name="Failure">Null when the DHCP server runs.</param>
/// <param name="Attachments">The NICs it has been told about.</param>
internal sealed record DhcpHealth(string? Failure, ImmutableHashSet<string> Attachments)
{
    public bool Equals(DhcpHealth? other) => other is not null && Failure == other.Failure && Attachments.SetEquals(other.Attachments);

    public override int GetHashCode() => HashCode.Combine(Failure, Attachments.Count);
}
