using System.Globalization;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Encryption;

/// <summary>A network nobody on the LAN can read.</summary>
public sealed class EncryptedNetworkTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const string Network = "secret";

    [SkippableFact]
    public async Task B118_Guests_reach_each_other_and_no_byte_of_theirs_is_seen_in_clear_whatever_happens_to_WireGuard()
    {
        await ReadyAsync();
        Skip.IfNot(File.Exists("/usr/bin/wireguard-go"), "needs the program wireguard-go (./dev setup installs it)");
        string gateway = Three.NextSubnet() + ".1";
        (await A.KctlAsync("create", "network", Network, "--gateway-ip", gateway, "--type", "vxlan", "--encryption", "wireguard", "--wait", "--timeout", "20s")).OrThrow();
        Guest? left = null, right = null;
        try
        {
            NetworkDetail detail = await B.DescribeNetworkAsync(Network);
            Assert.Equal("wireguard", detail.Encryption);
            Assert.Equal(1390, detail.Mtu);
            await Until.SeenAsync(TimeSpan.FromSeconds(5), "every node has an address in the mesh", async () =>
                (await B.DescribeNetworkAsync(Network)).Nodes.All(n => n.Vtep?.StartsWith("100.127.", StringComparison.Ordinal) == true) ? null : "one has none");

            left = await Lan.AttachAsync(A, Network, "left");
            right = await Lan.AttachAsync(B, Network, "right");
            Assert.Equal(1390, left.Nic.Mtu);
            await using CanaryWatch watch = CanaryWatch.Start(Lan, [A]);
            await Until.SeenAsync(TimeSpan.FromSeconds(15), "guests answer through the mesh", async () => await AnswersAsync(left, right) ? null : "no answer");
            Assert.True(await AnswersAsync(left, right, "-s", "1362", "-M", "do"), "a packet of the full 1390 bytes is not answered");

            await using BackgroundProcess talk = BackgroundProcess.Start(
                "ip", ["netns", "exec", left.Namespace, "ping", "-n", "-i", "0.01", "-p", CanaryWatch.Canary, right.Address], Path.Combine(Lan.Directory, "talk.log"));
            int before = await A.TunnelPidAsync();
            (await Command.RunAsync("kill", ["-9", before.ToString(CultureInfo.InvariantCulture)])).OrThrow();
            await Until.SeenAsync(TimeSpan.FromSeconds(10), "the process of the mesh is back", async () => await A.TunnelPidAsync() is not 0 and int now && now != before ? null : "not yet");
            await Until.SeenAsync(TimeSpan.FromSeconds(15), "guests answer again", async () => await AnswersAsync(left, right) ? null : "no answer");

            // A daemon that dies takes nothing with it; the next one finds what runs.
            int kept = await B.TunnelPidAsync();
            await B.KillAsync();
            Assert.True(await AnswersAsync(left, right), "without its daemon the mesh stands still");
            B.Start(B.Settings);
            await B.AnswersAsync();
            Assert.Equal(kept, await B.TunnelPidAsync());

            KctlResult rotated = (await A.KctlAsync("node", "rotate-wireguard-key")).OrThrow();
            NodeDetail node = (await A.KctlAsync("describe", "node", A.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail);
            Assert.Contains(node.WireguardKey!, rotated.Stdout, StringComparison.Ordinal);
            await Until.SeenAsync(TimeSpan.FromSeconds(15), "guests answer under the new key", async () => await AnswersAsync(left, right) ? null : "no answer");

            // However quick all that was: a watch that saw little would prove little.
            long secret = watch.Secret;
            await Until.SeenAsync(TimeSpan.FromSeconds(15), "two hundred frames under the new key", () => Task.FromResult(watch.Secret >= secret + 200 ? null : $"{watch.Secret - secret} so far"));
            talk.Signal(Signal.Interrupt);
            CanaryReport seen = await watch.StopAsync();
            Output.WriteLine($"{seen.Frames} frames seen at {A.Name}'s port, {seen.Secret} of WireGuard");
            Assert.Null(seen.Leak);
        }
        finally
        {
            foreach (Guest guest in new[] { left, right }.OfType<Guest>())
            {
                await guest.Node.KctlAsync("detach", "nic", guest.Name, "--network", Network);
                await Lan.RemoveGuestAsync(guest);
            }

            await A.KctlAsync("delete", "network", Network);
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(10), "nothing of the mesh is left", async () =>
        {
            foreach (LanNode node in Lan.Nodes)
            {
                if (await node.TunnelPidAsync() != 0 || (await Link.AllAsync(node.Namespace)).Any(l => l.Name == "kwg0"))
                {
                    return $"{node.Name} has it still";
                }
            }

            return null;
        });
    }

    private static async Task<bool> AnswersAsync(Guest from, Guest to, params string[] more) =>
        (await from.ExecAsync(["ping", "-n", "-c", "1", "-W", "1", "-p", CanaryWatch.Canary, .. more, to.Address])).ExitCode == 0;
}
