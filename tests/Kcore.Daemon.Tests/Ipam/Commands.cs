using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>Short spellings of commands.</summary>
internal static class Commands
{
    public static readonly Guid Cluster = Id(0xC0FFEE);

    public static Guid Id(uint number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

    public static PhysicalAddress Mac(uint number) =>
        new([0x02, 0, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]);

    public static ReplicatedCommand.CreatePool Pool(
        uint network = 1, string name = "private", uint vni = 14416, string gateway = "10.250.0.1", string subnet = "10.250.0.0/24", params string[] exclusions) =>
        new(new NetworkUid(Id(network)), name, vni, IPNetwork.Parse(subnet), IPAddress.Parse(gateway), [.. exclusions.Select(IPAddress.Parse)]);

    public static ReplicatedCommand.Allocate Allocate(uint attachment, uint network = 1, string? wanted = null, uint node = 9) =>
        new(
            new AttachmentId(Id(attachment)),
            new NetworkUid(Id(network)),
            $"nic-{attachment}",
            Mac(attachment),
            Id(node),
            wanted is null ? null : IPAddress.Parse(wanted));

    public static ReplicatedCommand.Release Release(uint attachment, uint node = 9) => new(new AttachmentId(Id(attachment)), Id(node));

    /// <summary>As nodes ask today; without, as the first versions did.</summary>
    public static ReplicatedCommand.Allocate AllocateUntil(uint attachment, ulong validUntil, uint network = 1, string? wanted = null, uint node = 9) =>
        Allocate(attachment, network, wanted, node) with { ValidUntil = validUntil };

    /// <inheritdoc cref="AllocateUntil"/>
    public static ReplicatedCommand.Release ReleaseOn(uint attachment, uint network = 1, uint node = 9) =>
        Release(attachment, node) with { Network = new NetworkUid(Id(network)) };

    public static ReplicatedState Founded()
    {
        var state = new ReplicatedState();
        Assert.IsType<ReplicatedResult.Done>(state.Do(new ReplicatedCommand.Found(Cluster, 1)).Result);
        return state;
    }

    public static ApplyOutcome<ReplicatedResult, ReplicatedChange> Do(this ReplicatedState state, ReplicatedCommand command, ulong index = 1) =>
        state.Apply(index, CommandCodec.Encode(command));

    public static string Address(this ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome) =>
        Assert.IsType<ReplicatedResult.Granted>(outcome.Result).Address.ToString();

    public static ReplicatedResult.Refused Refusal(this ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome)
    {
        Assert.Empty(outcome.Changes);
        return Assert.IsType<ReplicatedResult.Refused>(outcome.Result);
    }
}
