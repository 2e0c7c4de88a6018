using System.Globalization;
using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Lan;

namespace Kcore.SystemTests.Consensus;

/// <summary>An overlay of whose addresses every node has some in reserve, and what was told of it.</summary>
internal sealed class ReservedNetwork
{
    private const string Name = "spare";
    private const int Each = 2;

    private readonly Dictionary<string, string> _told = new(StringComparer.Ordinal);
    private readonly NetworkAddresses _filled;

    private ReservedNetwork(NetworkAddresses filled) => _filled = filled;

    /// <summary>Returns when every node has its share and knows it.</summary>
    public static async Task<ReservedNetwork> CreateAsync(NodeLan lan)
    {
        (await lan.Nodes[0].KctlAsync(
            "create", "network", Name, "--gateway-ip", "10.94.0.1", "--type", "vxlan", "--emergency-reserve", $"{Each}")).OrThrow();
        NetworkAddresses? filled = null;
        foreach (LanNode node in lan.Nodes)
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(40), $"{node.Name} has its reserve", async () =>
            {
                KctlResult told = await node.KctlAsync("get", "ips", "--network", Name, "-o", "json");
                filled = told.ExitCode == 0 ? told.Read(ApiJson.Default.NetworkAddresses) : null;
                return filled?.Parked.Length == lan.Nodes.Count * Each && (await node.EventsAsync()).Any(e => e.Type == "ReserveFilled" && e.Network == Name)
                    ? null
                    : $"{filled?.Parked.Length} parked";
            });
        }

        return new ReservedNetwork(filled!);
    }

    public static async Task<NetworkAddresses> SeenByAsync(LanNode node) =>
        (await node.KctlAsync("get", "ips", "--network", Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses);

    /// <summary>What a node had in reserve at the beginning, the highest first.</summary>
    public IReadOnlyList<string> ParkedOf(LanNode node) =>
        [.. _filled.Parked.Where(p => p.Node == node.Name).Select(p => p.Address).OrderByDescending(a => int.Parse(a.Split('.')[3], CultureInfo.InvariantCulture))];

    public async Task<string> AttachAsync(LanNode node, string nic)
    {
        KctlResult attached = (await node.KctlAsync("attach", "nic", nic, "--network", Name, "-o", "json")).OrThrow();
        return _told[nic] = attached.Read(ApiJson.Default.NicInfo).Address!.Split('/')[0];
    }

    /// <param name="others">Addresses that a NIC may have which nobody was told of.</param>
    public void HasNoDuplicates(IEnumerable<string> others) =>
        Assert.Empty(_told.Values.Concat(others).GroupBy(a => a, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => g.Key));
}
