using System.Text.Json.Nodes;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Consensus;

/// <summary>A log that nobody else holds and that a disk has damaged: it is all there is of what was promised.</summary>
public sealed class DamagedLogTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task A_damaged_log_is_left_as_it_is_and_named_while_guests_go_on_and_no_address_is_given_out() => OwnLan.OnAsync(1, output, async lan =>
    {
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { SharedKey = false });
        await node.AnswersAsync(TimeSpan.FromSeconds(20));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [node], "kept", "10.69.0");
        Guest guest = await network.AttachAsync(node, "kept");
        Assert.Equal("ok", await LogCheckAsync(node));
        await node.TerminateAsync();

        // In the middle: behind it is what was acknowledged, so this is no write that was cut off. Between batches are zeros.
        string segment = Directory.GetFiles(Path.Combine(node.DataDirectory, "raft"), "segment-*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First();
        byte[] damaged = await File.ReadAllBytesAsync(segment);
        int middle = Array.FindLastIndex(damaged, b => b != 0) / 2;
        damaged[Array.FindLastIndex(damaged, middle, b => b != 0)] ^= 0x40;
        await File.WriteAllBytesAsync(segment, damaged);

        node.Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "kctl doctor and kctl status name the log", async () =>
        {
            if ((await node.KctlAsync("status")).ExitCode == 6)
            {
                return "no answer";
            }

            string[] degraded = [.. (await node.StatusAsync()).Degraded];
            string check = await LogCheckAsync(node);
            return check.Contains(Path.GetDirectoryName(segment)!, StringComparison.Ordinal) && degraded.Any(d => d.StartsWith("this node's log has stopped: ", StringComparison.Ordinal))
                ? null : $"{check}; {string.Join("; ", degraded)}";
        });
        output.WriteLine(await LogCheckAsync(node));
        Assert.Equal(9, (await node.KctlAsync("doctor")).ExitCode);
        Assert.Equal(damaged, await File.ReadAllBytesAsync(segment));

        // What exists goes on, also what needs no log; what was promised is not promised again.
        await guest.PingAsync(network.Gateway);
        (await node.KctlAsync("create", "network", "beside", "--gateway-ip", "10.70.0.1", "--wait", "--timeout", "15s")).OrThrow();
        (await node.KctlAsync("attach", "nic", "local", "--network", "beside")).OrThrow();
        KctlResult refused = await node.KctlAsync("attach", "nic", "another", "--network", network.Name);
        Assert.True(refused.ExitCode == 11 && refused.Stderr.Contains("Unavailable", StringComparison.Ordinal), refused.ToString());
    });

    /// <summary><c>ok</c>, or what was found.</summary>
    private static async Task<string> LogCheckAsync(LanNode node)
    {
        // It exits with 9 while a check fails, so only its output counts.
        JsonNode check = JsonNode.Parse((await node.KctlAsync("doctor", "-o", "json")).Stdout)!["checks"]!.AsArray().Single(c => (string)c!["name"]! == "log")!;
        return check["findings"]!.AsArray() is { Count: > 0 } findings ? string.Join('\n', findings.Select(f => (string)f!)) : (string)check["result"]!;
    }
}
