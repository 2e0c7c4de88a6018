using System.Diagnostics;
using System.Net;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>NICs that come to another node: moved, or detached here and attached with their MAC there.</summary>
[Collection(OverlayNodes.Name)]
public sealed class MoveTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public async Task B019_A_MAC_that_comes_back_on_another_node_is_re_pointed_everywhere_and_announced_there()
    {
        const string Mac = "52:54:00:4d:6f:76";
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "moving", Three.NextSubnet());
        Guest watcher = await network.AttachAsync(C, "watcher");
        Guest neighbour = await network.AttachAsync(B, "neighbour");
        Guest before = await network.AttachAsync(A, "mover", "--mac", Mac);
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        await watcher.PingAsync(before.Address);

        await network.DetachAsync(before);
        using PacketSocket heard = neighbour.OpenPacket(GuestProbe.Arp);
        byte[] mac = PacketSocket.ParseMac(Mac);
        Task<IReadOnlyList<byte[]>> announced = heard.CollectAsync(
            TimeSpan.FromSeconds(5), f => f.AsSpan(6, 6).SequenceEqual(mac) && f.AsSpan(28, 4).SequenceEqual(f.AsSpan(38, 4)), most: 1);
        Guest after = await network.AttachAsync(B, "mover", "--mac", Mac);
        long attached = Stopwatch.GetTimestamp();
        await network.ForwardingIsExactAsync(Bound);
        await Until.SeenAsync(Bound, "the guest is reached where it is now", async () =>
            (await watcher.ExecAsync("ping", "-n", "-c", "1", "-W", "1", after.Address)).ExitCode == 0 ? null : "no answer");
        Output.WriteLine($"every entry points to {B.Name}, and the guest answers, {Stopwatch.GetElapsedTime(attached).TotalMilliseconds:0} ms after the answer to attach");

        // A gratuitous request or reply tells those next to it (RFC 5227, 3); its address is a new one.
        byte[] frame = Assert.Single(await announced);
        Assert.Equal(after.Address, new IPAddress(frame.AsSpan(28, 4)).ToString());
        Assert.NotEqual(before.Address, after.Address);
    }

    [SkippableFact]
    public async Task B115_A_guest_moves_with_MAC_and_address_and_is_silent_for_less_than_a_second()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "live", Three.NextSubnet());
        Guest watcher = await network.AttachAsync(C, "onlooker");
        Guest neighbour = await network.AttachAsync(B, "next-door");
        Guest before = await network.AttachAsync(A, "walker");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string indexes = await network.IndexesAsync();
        await using ContinuousPing ping = await ContinuousPing.StartAsync(watcher.Namespace, before.Address, Path.Combine(Lan.Directory, "move.ping"));

        // Prepared, from a third node: the device is there, nothing leads to it, nothing comes out of it; the guest answers where it was.
        Guest copy = await Lan.MoveAsync(C, before, B, "--prepare");
        Assert.Equal(("Prepared", before.Nic.Mac, before.Nic.Address, before.Nic.AttachmentId), (copy.Nic.State, copy.Nic.Mac, copy.Nic.Address, copy.Nic.AttachmentId));
        Assert.Contains("LOWER_UP", await Command.OutputAsync("ip", "-n", B.Namespace, "link", "show", copy.Nic.Device), StringComparison.Ordinal);
        await network.ForwardingIsExactAsync(Bound);
        Assert.NotEqual(0, (await copy.ExecAsync("ping", "-n", "-c", "1", "-W", "1", neighbour.Address)).ExitCode);
        await before.PingAsync(neighbour.Address);
        KctlResult early = await B.KctlAsync("detach", "nic", "walker", "--network", network.Name);
        Assert.True(early.ExitCode == 4 && early.Stderr.Contains("--complete", StringComparison.Ordinal), early.ToString());

        // Given up: as if it had never begun.
        Assert.Equal("aborted", (await B.KctlAsync("move", "nic", "walker", "--network", network.Name, "--abort", "-o", "json")).OrThrow().Read(ApiJson.Default.MovedNic).Verb);
        await Until.SeenAsync(Bound, "the device is gone again", async () => await Link.FindAsync(B.Namespace, copy.Nic.Device) is null ? null : "it is there");
        Assert.Equal(indexes, await network.IndexesAsync());
        await network.ForwardingIsExactAsync(Bound);
        Assert.Equal(A.Name, await OwnerAsync(network, before));
        await Lan.RemoveGuestAsync(copy);
        KctlResult none = await A.KctlAsync("move", "nic", "walker", "--network", network.Name, "--complete");
        Assert.True(none.ExitCode == 4 && none.Stderr.Contains("not being moved", StringComparison.Ordinal), none.ToString());
        PingReport quiet = await ping.StopAsync();
        Assert.Empty(quiet.Lost);

        // For good.
        Guest after = await Lan.MoveAsync(A, before, B, "--prepare");
        using PacketSocket heard = neighbour.OpenPacket(GuestProbe.Arp);
        byte[] mac = PacketSocket.ParseMac(before.Nic.Mac);
        Task<IReadOnlyList<byte[]>> announced = heard.CollectAsync(
            TimeSpan.FromSeconds(5), f => f.AsSpan(6, 6).SequenceEqual(mac) && f.AsSpan(28, 4).SequenceEqual(f.AsSpan(38, 4)), most: 1);
        await using ContinuousPing through = await ContinuousPing.StartAsync(watcher.Namespace, before.Address, Path.Combine(Lan.Directory, "moved.ping"));
        long handedOver = Stopwatch.GetTimestamp();
        MovedNic moved = (await C.KctlAsync("move", "nic", "walker", "--network", network.Name, "--complete", "-o", "json")).OrThrow().Read(ApiJson.Default.MovedNic);
        TimeSpan answered = Stopwatch.GetElapsedTime(handedOver);
        Assert.Equal(("moved", A.Name, B.Name, "Ready", before.Nic.Address), (moved.Verb, moved.From, moved.To, moved.Nic.State, moved.Nic.Address));
        await network.MovedAsync(before, after);
        await network.ForwardingIsExactAsync(Bound);
        await after.PingAsync(watcher.Address);
        PingReport report = await through.StopAsync();
        Output.WriteLine($"kctl move nic --complete answered after {answered.TotalMilliseconds:0} ms; {report}");
        int gap = LongestRun(report.Lost);
        Assert.True(gap < 100, $"silent for {gap} times 10 ms: {report}");
        Assert.Equal(before.Address, new IPAddress(Assert.Single(await announced).AsSpan(28, 4)).ToString());

        // One owner, and nothing left where it was.
        Assert.Equal(B.Name, await OwnerAsync(network, before));
        Assert.Null(await Link.FindAsync(A.Namespace, before.Nic.Device));
        Assert.Equal([B.Name], (await C.NicsAsync(network.Name)).Where(n => n.Name == "walker").Select(n => n.Node));
        Assert.Equal("unchanged", (await A.KctlAsync("move", "nic", "walker", "--network", network.Name, "--to", B.Name, "--netns", after.Namespace, "-o", "json")).OrThrow().Read(ApiJson.Default.MovedNic).Verb);

        // The other way in one word, for a guest that is stopped; then it is released from where it came back to.
        Guest back = await Lan.MoveAsync(B, after, A);
        await network.MovedAsync(after, back);
        await network.ForwardingIsExactAsync(Bound);
        await back.PingAsync(watcher.Address);
        Guest next = await network.AttachAsync(B, "next");
        Assert.NotEqual(before.Address, next.Address);
        await network.DetachAsync(back);
        await Until.SeenAsync(TimeSpan.FromSeconds(3), "the address is given back", async () => await OwnerAsync(network, before) is { } owner ? $"{owner} has it" : null);
        await network.ForwardingIsExactAsync(Bound);
    }

    [SkippableFact]
    public async Task B115_A_move_that_cannot_be_is_refused_with_the_reason_and_leaves_no_trace()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "staying", Three.NextSubnet());
        Guest guest = await network.AttachAsync(A, "stayer");
        string digest = await NodeLan.SettledAsync(Lan.Nodes);
        await RefusedAsync(3, "node 'nowhere' does not exist", "--to", "nowhere");
        await RefusedAsync(2, "name the namespace", "--to", B.Name);
        await RefusedAsync(3, "does not exist on network", "--to", B.Name, "stranger");
        Assert.Equal(digest, (await A.StatusAsync()).Digest);

        // The other node cannot make the device: the preparation is taken back.
        await RefusedAsync(4, "cannot make the device", "--to", B.Name, "--netns", "kcore-none");
        await network.ForwardingIsExactAsync(Bound);
        Assert.Equal(A.Name, await OwnerAsync(network, guest));

        // Two of three decide without the first.
        await Until.SeenAsync(TimeSpan.FromSeconds(30), "three nodes vote", async () =>
            (await C.ClusterAsync()) is { Source: "leader", Changing: false, Voters.Length: 3 } ? null : "not yet");

        // Nobody knows whether the guest of a silent node runs; the operator may.
        await A.KillAsync();
        try
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(20), "the silence of its node is a reason", async () =>
                (await C.KctlAsync("move", "nic", "stayer", "--network", network.Name, "--to", B.Name, "--netns", "kcore-none")) is { ExitCode: 4 } refused
                    && refused.Stderr.Contains("--force", StringComparison.Ordinal) ? null : "it still looks alive");
            Guest moved = await Lan.MoveAsync(C, guest, B, "--force");
            Assert.Equal((B.Name, guest.Nic.Address), (moved.Nic.Node, moved.Nic.Address));
            A.Start();
            await A.AnswersAsync();

            // It hears of it and lets go.
            await Until.SeenAsync(TimeSpan.FromSeconds(15), "the device is gone where the NIC was", async () =>
                await Link.FindAsync(A.Namespace, guest.Nic.Device) is null ? null : "it is there");
            await network.MovedAsync(guest, moved);
            await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(5));
            Assert.Equal(B.Name, await OwnerAsync(network, guest));
        }
        finally
        {
            if (!A.IsRunning)
            {
                A.Start();
            }
        }

        async Task RefusedAsync(int exitCode, string text, params string[] more)
        {
            string name = more.Length % 2 == 1 ? more[^1] : "stayer";
            KctlResult refused = await C.KctlAsync(["move", "nic", name, "--network", network.Name, .. more.Take(more.Length - (more.Length % 2))]);
            Assert.True(refused.ExitCode == exitCode && refused.Stderr.Contains(text, StringComparison.Ordinal), refused.ToString());
        }
    }

    private static int LongestRun(IReadOnlyList<int> lost)
    {
        int longest = 0;
        for (int i = 0, run = 0; i < lost.Count; i++)
        {
            run = i > 0 && lost[i] == lost[i - 1] + 1 ? run + 1 : 1;
            longest = Math.Max(longest, run);
        }

        return longest;
    }

    /// <summary>By the cluster's log, as the third node knows it; null when nobody holds the address.</summary>
    private async Task<string?> OwnerAsync(TestNetwork network, Guest guest)
    {
        NetworkAddresses addresses = (await C.KctlAsync("get", "ips", "--network", network.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses);
        return addresses.Leases.SingleOrDefault(l => l.Address == guest.Address)?.Node;
    }
}
