using System.Text.Json.Nodes;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>Behaviour 112: what is changed by hand comes back in under a second and is reported once.</summary>
[Collection(DisturbedNodes.Name)]
public sealed class DriftTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public async Task B112_A_hand_deleted_entry_port_address_or_table_is_back_in_a_second_and_logged_once()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "drift", Three.NextSubnet());
        Guest far = await network.AttachAsync(B, "far");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string ns = A.Namespace;

        await RepairedAsync(
            "the unicast entry of a remote NIC",
            far.Nic.Mac,
            () => Command.OutputAsync("bridge", "-n", ns, "fdb", "del", far.Nic.Mac, "dev", network.Vxlan, "dst", B.Address, "self"),
            async () => (await FdbEntry.OfAsync(ns, network.Vxlan)).Contains(new FdbEntry(far.Nic.Mac, B.Address)));
        await RepairedAsync(
            "the tunnel as port of the bridge",
            network.Vxlan,
            () => Command.OutputAsync("ip", "-n", ns, "link", "set", network.Vxlan, "nomaster"),
            async () => (await Link.FindAsync(ns, network.Vxlan))?.Master == network.Bridge);
        await RepairedAsync(
            "the gateway address",
            network.Gateway,
            () => Command.OutputAsync("ip", "-n", ns, "addr", "del", network.Gateway + "/24", "dev", network.Bridge),
            async () => (await Command.OutputAsync("ip", "-n", ns, "addr", "show", "dev", network.Bridge)).Contains($" {network.Gateway}/24 ", StringComparison.Ordinal));
        (string Family, string Name)[] tables = await OwnTablesAsync(ns);
        Assert.True(tables.Length > 0, "Expected at least one nftables table whose name starts with kcore");
        foreach ((string family, string name) in tables)
        {
            await RepairedAsync(
                $"the table {family} {name}",
                name,
                async () => (await Netns.ExecAsync(ns, "nft", "delete", "table", family, name)).OrThrow(),
                async () => (await OwnTablesAsync(ns)).Contains((family, name)));
        }

        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(1));
    }

    [SkippableFact]
    public async Task A_flushed_ruleset_is_whole_again_at_once_and_a_quiet_time_with_a_look_at_everything_starts_no_process()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "quiet", Three.NextSubnet());
        await network.AttachAsync(A, "still");
        (string Family, string Name)[] tables = await OwnTablesAsync(A.Namespace);
        Assert.NotEmpty(tables);

        // Before the quiet time and not after it: three repairs of one object within ten seconds are a fight, also those of another test.
        (await Netns.ExecAsync(A.Namespace, "nft", "flush", "ruleset")).OrThrow();
        await Until.SeenAsync(
            TimeSpan.FromSeconds(2), "the tables are back", async () => (await OwnTablesAsync(A.Namespace)).SequenceEqual(tables) ? null : "they are not all there");

        // The first look after the last change may have to read; from then on there is nothing new.
        await SawEverythingAsync();
        string before = ChildFaults();
        await SawEverythingAsync();
        Assert.Equal(before, ChildFaults());
    }

    /// <summary>Longer than the pause between two looks at everything, which is 27 to 33 s.</summary>
    private async Task SawEverythingAsync()
    {
        DateTimeOffset? last = (await A.StatusAsync()).Dataplane.LastPass;
        await Task.Delay(TimeSpan.FromSeconds(34));
        Assert.NotEqual(last, (await A.StatusAsync()).Dataplane.LastPass);
    }

    /// <summary>Page faults of children that ended (cminflt of proc(5)): every process that was started and waited for adds some.</summary>
    private string ChildFaults()
    {
        string stat = File.ReadAllText($"/proc/{A.Pid}/stat");
        return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[8];
    }

    private static async Task<(string Family, string Name)[]> OwnTablesAsync(string netns)
    {
        string text = (await Netns.ExecAsync(netns, "nft", "-j", "list", "tables")).OrThrow().Stdout;
        return
        [
            .. JsonNode.Parse(text)!["nftables"]!.AsArray().Select(i => i!["table"]).Where(t => t is not null)
                .Select(t => ((string)t!["family"]!, (string)t["name"]!))
                .Where(t => t.Item2.StartsWith("kcore", StringComparison.Ordinal)),
        ];
    }

    private async Task RepairedAsync(string what, string word, Func<Task> harm, Func<Task<bool>> whole)
    {
        long before = await A.LastEventAsync();
        await harm();
        TimeSpan took = await Until.SeenAsync(Soon, what + " is back", async () => await whole() ? null : "it is still missing");
        Output.WriteLine($"{what}: back after {took.TotalMilliseconds:0} ms");

        // Long enough for a second report of the same repair to come, if there were one.
        await Task.Delay(Soon);
        EventInfo[] repairs = [.. (await A.EventsAsync(before)).Where(e => e.Type == "DriftRepaired")];
        string seen = string.Join('\n', repairs.Select(e => $"{e.Sequence} {e.Message} {string.Join(' ', e.Details)}"));
        Assert.True(repairs.Length > 0, $"Expected a DriftRepaired event for {what}; there is none");
        Assert.True(
            repairs.Any(e => (e.Message + string.Join(' ', e.Details.Values)).Contains(word, StringComparison.Ordinal)),
            $"Expected a DriftRepaired event that names {word}; seen:\n{seen}");
        Assert.True(
            repairs.Select(e => e.Message + string.Join(' ', e.Details.Where(d => d.Key.Contains("object", StringComparison.OrdinalIgnoreCase)))).Distinct(StringComparer.Ordinal).Count() == repairs.Length,
            $"Expected one DriftRepaired event for each object of {what}; seen:\n{seen}");
    }
}
