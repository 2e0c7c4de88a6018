using System.Diagnostics;
using System.Net;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Addresses;

public sealed class AddressTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const int Attaches = 60;

    [SkippableFact]
    public async Task B025_B026_Addresses_rise_and_a_returned_one_is_not_given_again()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "rising", Three.NextSubnet());
        Assert.Equal(network.Subnet + ".2/24", await AttachTapAsync(A, network.Name, "one"));
        Assert.Equal(network.Subnet + ".3/24", await AttachTapAsync(B, network.Name, "two"));
        Assert.Equal(network.Subnet + ".4/24", await AttachTapAsync(C, network.Name, "three"));
        (await B.KctlAsync("detach", "nic", "two", "--network", network.Name)).OrThrow();
        Assert.Equal(network.Subnet + ".5/24", await AttachTapAsync(B, network.Name, "four"));
        // The highest one is not reused either: it is a counter, not a maximum.
        (await B.KctlAsync("detach", "nic", "four", "--network", network.Name)).OrThrow();
        Assert.Equal(network.Subnet + ".6/24", await AttachTapAsync(A, network.Name, "five"));
        PoolUsage? pool = (await C.DescribeNetworkAsync(network.Name)).Addresses;
        Assert.Equal(network.Subnet + ".7", pool?.Next);
        Assert.Equal(3, pool?.Used);
    }

    [SkippableFact]
    public async Task B027_A_gateway_in_the_middle_is_skipped()
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        (await A.KctlAsync("create", "network", "middle", "--type", "vxlan", "--gateway-ip", subnet + ".3")).OrThrow();
        try
        {
            Assert.Equal(subnet + ".2/24", await AttachTapAsync(A, "middle", "m1"));
            Assert.Equal(subnet + ".4/24", await AttachTapAsync(A, "middle", "m2"));
        }
        finally
        {
            await A.KctlAsync("detach", "nic", "m1", "--network", "middle");
            await A.KctlAsync("detach", "nic", "m2", "--network", "middle");
            await A.KctlAsync("delete", "network", "middle");
        }
    }

    [SkippableFact]
    public async Task B027_Excluded_addresses_are_passed_over_and_every_node_tells_who_has_which()
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        (await A.KctlAsync(
            "create", "network", "gaps", "--type", "vxlan", "--gateway-ip", subnet + ".1", "--exclude", subnet + ".3-" + subnet + ".5", "--exclude", subnet + ".7")).OrThrow();
        try
        {
            Assert.Equal(subnet + ".2/24", await AttachTapAsync(A, "gaps", "g1"));
            Assert.Equal(subnet + ".6/24", await AttachTapAsync(B, "gaps", "g2"));
            Assert.Equal(subnet + ".8/24", await AttachTapAsync(C, "gaps", "g3"));
            KctlResult refused = await A.KctlAsync("attach", "nic", "g4", "--network", "gaps", "--ip", subnet + ".4");
            Assert.True(refused.ExitCode == 4, refused.ToString());
            await Until.SeenAsync(TimeSpan.FromSeconds(5), "node C tells all three addresses", async () =>
            {
                NetworkAddresses told = (await C.KctlAsync("get", "ips", "--network", "gaps", "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses);
                string rows = string.Join(' ', told.Leases.Select(l => $"{l.Address}={l.Nic}@{l.Node}:{l.State}"));
                string expected = $"{subnet}.2=g1@{A.Name}:held {subnet}.6=g2@{B.Name}:held {subnet}.8=g3@{C.Name}:held";
                return rows == expected && told.Next == subnet + ".9" && (told.Size, told.Used, told.Free, told.Reserved.Length) == (249, 3, 246, 3)
                    ? null
                    : $"{rows}, next {told.Next}, size {told.Size}, used {told.Used}, free {told.Free}";
            });
        }
        finally
        {
            await A.KctlAsync("detach", "nic", "g1", "--network", "gaps");
            await B.KctlAsync("detach", "nic", "g2", "--network", "gaps");
            await C.KctlAsync("detach", "nic", "g3", "--network", "gaps");
            await A.KctlAsync("delete", "network", "gaps");
        }
    }

    [SkippableFact]
    public async Task B028_B099_A_subnet_with_one_address_gives_one_and_then_refuses()
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        (await A.KctlAsync("create", "network", "tiny", "--type", "vxlan", "--gateway-ip", subnet + ".1", "--internal-netmask", "255.255.255.252")).OrThrow();
        try
        {
            Assert.Equal(subnet + ".2/30", await AttachTapAsync(A, "tiny", "t1"));
            KctlResult refused = await A.KctlAsync("attach", "nic", "t2", "--network", "tiny");
            Assert.True(refused.ExitCode == 4, refused.ToString());
            Assert.Contains("ResourceExhausted", refused.Stderr, StringComparison.Ordinal);
            Assert.Contains("tiny", refused.Stderr, StringComparison.Ordinal);
            NicInfo only = Assert.Single(await A.NicsAsync("tiny"));
            Assert.Equal("t1", only.Name);
        }
        finally
        {
            await A.KctlAsync("detach", "nic", "t1", "--network", "tiny");
            await A.KctlAsync("delete", "network", "tiny");
        }
    }

    [SkippableFact]
    public async Task B024_Sixty_parallel_attaches_survive_the_death_of_the_leader_without_a_duplicate()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "crowd", Three.NextSubnet());
        string leaderName = (await A.StatusAsync()).Consensus.Leader ?? throw new InvalidOperationException("no leader is known");
        LanNode leader = Lan.Nodes.Single(n => n.Name == leaderName);

        (LanNode Node, string Nic)[] wanted = [.. Enumerable.Range(0, Attaches).Select(i => (Lan.Nodes[i % 3], $"c{i:00}"))];
        Task<(LanNode Node, string Nic, KctlResult Result)>[] calls = [.. wanted.Select(w => AttachAsync(w.Node, w.Nic, network.Name))];
        // In the middle of the work: some calls are answered, the others are not.
        await Task.WhenAny(calls);
        await leader.KillAsync();
        await Task.Delay(TimeSpan.FromSeconds(1));
        leader.Start();
        (LanNode Node, string Nic, KctlResult Result)[] done = await Task.WhenAll(calls);
        Output.WriteLine("exit codes: " + string.Join(", ", done.GroupBy(d => d.Result.ExitCode).Select(g => $"{g.Key} × {g.Count()}")));
        Assert.All(done, d => Assert.True(d.Result.ExitCode is 0 or 6 or 11, $"Expected an answer (0) or a clear refusal (6, 11): {d.Result}"));
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));

        foreach ((LanNode node, string nic, _) in done.Where(d => d.Result.ExitCode != 0))
        {
            KctlResult again = (await AttachAsync(node, nic, network.Name)).Result;
            // The refused call may have been carried out before its answer was lost; then the NIC is there already.
            Assert.True(
                again.ExitCode == 0 || (again.ExitCode == 4 && again.Stderr.Contains("AlreadyExists", StringComparison.Ordinal)),
                $"Expected the retry to succeed: {again}");
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(5), $"all {Attaches} NICs are ready with different addresses inside the subnet", async () =>
        {
            NicInfo[] nics = [.. await B.NicsAsync(network.Name)];
            string[] missing = [.. wanted.Select(w => w.Nic).Except(nics.Where(n => n.State == "Ready").Select(n => n.Name), StringComparer.Ordinal)];
            if (missing.Length > 0)
            {
                return "not ready: " + string.Join(' ', missing);
            }

            IPNetwork subnet = IPNetwork.Parse(network.Subnet + ".0/24");
            string[] addresses = [.. nics.Select(n => n.Address!.Split('/')[0])];
            string[] wrong =
            [
                .. addresses.GroupBy(a => a, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => g.Key + " twice"),
                .. addresses.Where(a => !subnet.Contains(IPAddress.Parse(a)) || a.EndsWith(".0", StringComparison.Ordinal) || a == network.Gateway || a.EndsWith(".255", StringComparison.Ordinal)),
            ];
            return wrong.Length == 0 && nics.Length == Attaches ? null : $"{nics.Length} NICs, wrong: {string.Join(' ', wrong)}";
        });
        foreach ((LanNode answeredBy, string nic, KctlResult result) in done.Where(d => d.Result.ExitCode == 0))
        {
            NicInfo told = result.Read(ApiJson.Default.NicInfo);
            NicInfo now = (await answeredBy.NicsAsync(network.Name)).Single(n => n.Name == nic);
            Assert.True(told.Address == now.Address, $"{nic} was told {told.Address} and now has {now.Address}");
        }
    }

    [SkippableFact]
    public async Task An_address_given_on_one_node_is_in_the_answer_of_every_other_at_once()
    {
        const int rounds = 20;
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "fresh", Three.NextSubnet());
        using var a = new NodeApi(A.Socket, TimeSpan.FromSeconds(20));
        using var b = new NodeApi(B.Socket, TimeSpan.FromSeconds(20));
        using var c = new NodeApi(C.Socket, TimeSpan.FromSeconds(20));
        var waited = new List<double>();
        int missed = 0;
        for (int i = 1; i <= rounds; i++)
        {
            NicInfo nic = (await a.AttachAsync(network.Name, $"f{i:00}")).Value ?? throw new InvalidOperationException("the NIC was not attached");
            long asked = Stopwatch.GetTimestamp();
            Task<NetworkAddresses> known = b.AddressesAsync(network.Name, local: true);
            NetworkAddresses[] told = await Task.WhenAll(b.AddressesAsync(network.Name), c.AddressesAsync(network.Name));
            waited.Add(Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
            missed += (await known).Leases.Length < i ? 1 : 0;
            foreach (NetworkAddresses one in told)
            {
                Assert.True(one.Confirmed, one.Unconfirmed);
                Assert.Contains(one.Leases, l => l.Nic == nic.Name && l.Address == nic.Address!.Split('/')[0] && l.State == "held");
                Assert.Equal(i, one.Leases.Length);
            }
        }

        waited.Sort();
        Output.WriteLine($"answers of two nodes at once: median {waited[rounds / 2]:F0} ms, longest {waited[^1]:F0} ms; what B knew without asking lacked the address {missed} times of {rounds}");
        Assert.Contains($"{network.Subnet}.2 ", (await B.KctlAsync("get", "ips", "--network", network.Name)).OrThrow().Stdout, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task Without_a_quorum_the_addresses_are_told_and_said_to_be_unconfirmed()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "doubt", Three.NextSubnet());
        string? address = (await AttachTapAsync(A, network.Name, "d1"))?.Split('/')[0];
        await Until.SeenAsync(TimeSpan.FromSeconds(60), "three vote", async () => (await A.StatusAsync()).Consensus.Voters is { Length: not 3 } voters ? $"{voters.Length} vote" : null);
        Assert.Equal("", (await A.KctlAsync("get", "ips", "--network", network.Name)).OrThrow().Stderr);
        string leaderName = (await A.StatusAsync()).Consensus.Leader ?? throw new InvalidOperationException("no leader is known");
        LanNode leader = Lan.Nodes.Single(n => n.Name == leaderName);
        LanNode[] others = [.. Lan.Nodes.Where(n => n != leader)];
        foreach (LanNode node in others)
        {
            node.Pause();
        }

        try
        {
            // At first it takes itself for the leader, later it knows of none: never is what it has the present.
            for (int i = 0; i < 2; i++)
            {
                long asked = Stopwatch.GetTimestamp();
                KctlResult told = (await leader.KctlAsync("get", "ips", "--network", network.Name)).OrThrow();
                Output.WriteLine($"answered after {Stopwatch.GetElapsedTime(asked).TotalSeconds:F1} s: {told.Stderr.Trim()}");
                Assert.Contains($"{address} ", told.Stdout, StringComparison.Ordinal);
                Assert.StartsWith("not confirmed: no quorum of the voters confirmed it within 2 s", told.Stderr, StringComparison.Ordinal);
            }

            NetworkAddresses json = (await leader.KctlAsync("get", "ips", "--network", network.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses);
            Assert.Equal((false, true, true), (json.Confirmed, json.Unconfirmed is { Length: > 0 }, json.LogIndex > 0));
            KctlResult local = (await leader.KctlAsync("get", "ips", "--network", network.Name, "--local")).OrThrow();
            Assert.Equal("", local.Stderr);
            Assert.Contains($"{address} ", local.Stdout, StringComparison.Ordinal);
            KctlResult orphans = await leader.KctlAsync("network", "release-orphans", network.Name);
            Assert.True(orphans.ExitCode == 11, orphans.ToString());
        }
        finally
        {
            foreach (LanNode node in others)
            {
                node.Resume();
            }
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(20), "it is confirmed again", async () => (await leader.KctlAsync("get", "ips", "--network", network.Name)).OrThrow().Stderr is { Length: > 0 } doubt ? doubt : null);
    }

    private static async Task<(LanNode Node, string Nic, KctlResult Result)> AttachAsync(LanNode node, string nic, string network) =>
        (node, nic, await node.KctlAsync("attach", "nic", nic, "--network", network, "-o", "json"));

    private static async Task<string?> AttachTapAsync(LanNode node, string network, string nic) =>
        (await AttachAsync(node, nic, network)).Result.OrThrow().Read(ApiJson.Default.NicInfo).Address;
}
