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
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(30));

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

    private static async Task<(LanNode Node, string Nic, KctlResult Result)> AttachAsync(LanNode node, string nic, string network) =>
        (node, nic, await node.KctlAsync("attach", "nic", nic, "--network", network, "-o", "json"));

    private static async Task<string?> AttachTapAsync(LanNode node, string network, string nic) =>
        (await AttachAsync(node, nic, network)).Result.OrThrow().Read(ApiJson.Default.NicInfo).Address;
}
