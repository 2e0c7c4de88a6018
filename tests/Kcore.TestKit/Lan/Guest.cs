using Kcore.Contracts;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>Stands for a VM: a network namespace that gets its interface from kctl.</summary>
public sealed class Guest
{
    internal Guest(string name, string netns, LanNode node, NicInfo nic)
    {
        Name = name;
        Namespace = netns;
        Node = node;
        Nic = nic;
    }

    public string Name { get; }

    public string Namespace { get; }

    public LanNode Node { get; }

    /// <summary>What <c>kctl attach nic</c> answered.</summary>
    public NicInfo Nic { get; }

    /// <summary>The address without its prefix length.</summary>
    public string Address => Nic.Address?.Split('/')[0] ?? throw new InvalidOperationException($"{Name} has no address");

    public Task<CommandResult> ExecAsync(params IReadOnlyList<string> command) => Netns.ExecAsync(Namespace, command);

    /// <summary>Three echo requests; every one must be answered.</summary>
    public async Task PingAsync(string target)
    {
        CommandResult result = await ExecAsync("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", target);
        if (result.ExitCode != 0 || !result.Stdout.Contains(" 0% packet loss", StringComparison.Ordinal))
        {
            throw new CommandFailedException(result);
        }
    }

    public PacketSocket OpenPacket(ushort etherType) => PacketSocket.Open(Namespace, "eth0", etherType);
}
