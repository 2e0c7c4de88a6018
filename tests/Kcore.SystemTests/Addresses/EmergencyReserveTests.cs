using System.Diagnostics;
using System.Globalization;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Addresses;

/// <summary>Real daemons that were granted addresses in advance, and lose the others.</summary>
public sealed class EmergencyReserveTests(ITestOutputHelper output)
{
    private const string Network = "spare";
    private const string Subnet = "10.91.0";
    private const int Reserve = 4;

    [SkippableFact]
    public async Task Cut_off_from_the_others_attaches_succeed_from_the_top_and_nobody_has_an_address_twice()
    {
        await using NodeLan lan = await StartAsync();
        (LanNode here, LanNode[] others) = (lan.Nodes[0], [lan.Nodes[1], lan.Nodes[2]]);
        await FilledAsync(here, 3 * Reserve);
        Assert.Equal(Subnet + ".2/24", (await AttachAsync(others[0], "before")).Address);
        HashSet<string> mine = [.. (await AddressesAsync(here)).Parked.Where(p => p.Node == here.Name).Select(p => p.Address)];
        Assert.Equal(Reserve, mine.Count);
        string[] top = [.. mine.OrderByDescending(Last)];

        await lan.PartitionAsync(here);
        Guest first = await TimedAsync("first attach without the others", () => lan.AttachAsync(here, Network, "first"));
        Assert.Equal(top[0], first.Address);
        Assert.Equal("Ready", first.Nic.State);
        await first.PingAsync(first.Nic.Gateway);
        NicInfo gone = await TimedAsync("second attach without the others", () => AttachAsync(here, "gone"));
        Assert.Equal(top[1] + "/24", gone.Address);
        Assert.Contains("emergency reserve", (await here.NicsAsync(Network)).Single(n => n.Name == "gone").Reason, StringComparison.Ordinal);

        // Detached before anybody could be told, and killed: neither address is offered a second time.
        (await here.KctlAsync("detach", "nic", "gone", "--network", Network)).OrThrow();
        await here.KillAsync();
        here.Start();
        await here.AnswersAsync();
        NicInfo third = await TimedAsync("attach after a crash without the others", () => AttachAsync(here, "third"));
        Assert.Equal(top[2] + "/24", third.Address);
        Assert.Equal(top[3] + "/24", (await AttachAsync(here, "fourth")).Address);
        KctlResult none = await here.KctlAsync("attach", "nic", "fifth", "--network", Network);
        Assert.Equal(11, none.ExitCode);
        Assert.Contains("emergency reserve", none.Stderr, StringComparison.Ordinal);
        await first.PingAsync(first.Nic.Gateway);

        // The others go on in order, and their reserves are their own.
        await Until.SeenAsync(TimeSpan.FromSeconds(30), "the others have a leader", async () =>
            (await others[0].StatusAsync()).Consensus.Quorum ? null : "no quorum");
        Assert.Equal(Subnet + ".3/24", (await AttachAsync(others[1], "meanwhile")).Address);

        await lan.HealAsync();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await Until.SeenAsync(TimeSpan.FromSeconds(40), "what was used is a lease everywhere, and the reserve is full again", async () =>
        {
            foreach (LanNode node in lan.Nodes)
            {
                NetworkAddresses now = await AddressesAsync(node);
                string held = string.Join(' ', now.Leases.Where(l => l.Node == here.Name && l.Nic != "fifth").Select(l => $"{l.Nic}={l.Address}").Order(StringComparer.Ordinal));
                string wanted = $"first={top[0]} fourth={top[3]} third={top[2]}";
                int parked = now.Parked.Count(p => p.Node == here.Name && p.State == "parked");
                if (held != wanted || parked != Reserve || now.Parked.Length != 3 * Reserve)
                {
                    return $"{node.Name}: {held}, {parked} of {now.Parked.Length} parked";
                }

                if (now.Parked.Any(p => mine.Contains(p.Address)))
                {
                    return $"{node.Name}: a used address is parked";
                }
            }

            return null;
        });

        // In order once more, what was burned is not given to anybody, and the guest noticed nothing. A request that was on its
        // way when the others were lost may come in late and take an address along.
        string? fifth = null;
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "the attach that found nothing completes", async () =>
            (fifth = (await here.NicsAsync(Network)).Single(n => n.Name == "fifth") is { State: "Ready" } nic ? nic.Address : null) is not null ? null : "it waits");
        Assert.InRange(Last(fifth!.Split('/')[0]), 4, 8);
        string after = (await AttachAsync(here, "after")).Address!.Split('/')[0];
        Assert.InRange(Last(after), Last(fifth.Split('/')[0]) + 1, 9);
        KctlResult burned = await others[0].KctlAsync("attach", "nic", "burned", "--network", Network, "--ip", top[1]);
        Assert.Equal(4, burned.ExitCode);
        Assert.Equal(first.Address, (await here.NicsAsync(Network)).Single(n => n.Name == "first").Address!.Split('/')[0]);
        await first.PingAsync(first.Nic.Gateway);
        await NoDuplicatesAsync(lan);
    }

    [SkippableFact]
    public async Task With_the_two_others_dead_the_survivor_helps_itself_and_tells_them_later()
    {
        await using NodeLan lan = await StartAsync();
        (LanNode here, LanNode[] others) = (lan.Nodes[1], [lan.Nodes[0], lan.Nodes[2]]);
        await FilledAsync(here, 3 * Reserve);
        foreach (LanNode node in others)
        {
            await node.KillAsync();
        }

        string[] mine = [.. (await AddressesAsync(here)).Parked.Where(p => p.Node == here.Name).Select(p => p.Address).OrderByDescending(Last)];
        NicInfo[] made = await TimedAsync("two attaches at once with the others dead", () => Task.WhenAll(AttachAsync(here, "one"), AttachAsync(here, "two")));
        Assert.Equal(mine.Take(2).Select(a => a + "/24").Order(StringComparer.Ordinal), made.Select(n => n.Address!).Order(StringComparer.Ordinal));
        Assert.Equal(["used", "used"], (await AddressesAsync(here)).Parked.Where(p => p.Nic is not null).Select(p => p.State));

        // Asking again is asking for the same.
        Assert.Equal(made[0].Address, (await AttachAsync(here, made[0].Name)).Address);

        foreach (LanNode node in others)
        {
            node.Start();
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(60), "both are leases on a node that was dead", async () =>
        {
            NetworkAddresses now = await AddressesAsync(others[0]);
            return now.Leases.Length == 2 && now.Parked.Length == 3 * Reserve ? null : $"{now.Leases.Length} leases, {now.Parked.Length} parked";
        });
        Assert.InRange(Last((await AttachAsync(here, "three")).Address!.Split('/')[0]), 2, 4);

        // A node that is drained gives back what it did not use.
        (await here.KctlAsync("node", "drain")).OrThrow();
        await FilledAsync(others[1], 2 * Reserve);
        await NoDuplicatesAsync(lan);
    }

    private static int Last(string address) => int.Parse(address.Split('.')[3], CultureInfo.InvariantCulture);

    private static async Task<NodeLan> StartAsync()
    {
        Requires.Kernel();
        NodeLan lan = await NodeLan.CreateAsync(3);
        try
        {
            foreach (LanNode node in lan.Nodes)
            {
                node.Start();
            }

            await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
            await Until.SeenAsync(TimeSpan.FromSeconds(60), "three voters", async () =>
            {
                ClusterReport report = await lan.Nodes[0].ClusterAsync();
                return report is { Source: "leader", Changing: false, Voters.Length: 3 } && report.Voters.All(v => v.State == "ok") ? null : $"{report.Voters.Length} voters";
            });
            (await lan.Nodes[0].KctlAsync(
                "create", "network", Network, "--gateway-ip", Subnet + ".1", "--type", "vxlan", "--emergency-reserve", $"{Reserve}")).OrThrow();
            return lan;
        }
        catch
        {
            await lan.DisposeAsync();
            throw;
        }
    }

    private static async Task<NicInfo> AttachAsync(LanNode node, string nic) =>
        (await node.KctlAsync("attach", "nic", nic, "--network", Network, "-o", "json")).OrThrow().Read(ApiJson.Default.NicInfo);

    private static async Task<NetworkAddresses> AddressesAsync(LanNode node) =>
        (await node.KctlAsync("get", "ips", "--network", Network, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses);

    /// <summary>Seen from one node; that node itself has heard of its own by then, or a second later.</summary>
    private static Task FilledAsync(LanNode node, int parked) => Until.SeenAsync(TimeSpan.FromSeconds(40), $"{parked} addresses are parked", async () =>
    {
        KctlResult told = await node.KctlAsync("get", "ips", "--network", Network, "-o", "json");
        return told.ExitCode != 0 ? told.Stderr
            : told.Read(ApiJson.Default.NetworkAddresses).Parked.Length is var now && now == parked && (await node.EventsAsync()).Any(e => e.Type == "ReserveFilled" && e.Network == Network) ? null
            : $"{now}";
    });

    private static async Task NoDuplicatesAsync(NodeLan lan)
    {
        List<NicInfo> nics = [];
        foreach (LanNode node in lan.Nodes)
        {
            nics.AddRange((await node.NicsAsync(Network)).Where(n => n.Node == node.Name && n.Address is not null));
        }

        string[] parked = [.. (await AddressesAsync(lan.Nodes[0])).Parked.Select(p => p.Address)];
        Assert.Empty(nics.Select(n => n.Address!.Split('/')[0]).Concat(parked).GroupBy(a => a, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => g.Key));
    }

    private async Task<T> TimedAsync<T>(string what, Func<Task<T>> work)
    {
        long began = Stopwatch.GetTimestamp();
        T done = await work();
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {took.TotalSeconds:0.0} s"));
        Assert.True(took < TimeSpan.FromSeconds(20), $"{what} took {took}");
        return done;
    }
}
