using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Trust;

/// <summary>A cluster changes its key while it works.</summary>
public sealed class RotationTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task A_key_is_rotated_under_loss_and_a_restart_without_a_death_or_a_moment_of_disagreement() => OwnLan.OnAsync(3, output, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        string before = File.ReadAllText(lan.Nodes[0].KeyPath);
        ClusterKeys first = await lan.Nodes[0].KeysAsync();
        Assert.Equal("active", Assert.Single(first.Keys).State);
        Dictionary<LanNode, long> seen = [];
        foreach (LanNode node in lan.Nodes)
        {
            seen[node] = await node.LastEventAsync();
        }

        await AllSaidAsync(lan.Nodes[1], lan.Nodes);
        await lan.LosePacketsAsync(20);
        (await lan.Nodes[1].KctlAsync("cluster", "rotate-key", "--retire-after", "15s")).OrThrow();

        // A second one waits for the first.
        KctlResult refused = await lan.Nodes[1].KctlAsync("cluster", "rotate-key");
        Assert.True(refused.ExitCode == 4 && refused.Stderr.Contains("under way", StringComparison.Ordinal), refused.ToString());
        TimeSpan active = await Until.SeenAsync(TimeSpan.FromSeconds(60), "every node seals with the new key", () => AllUseAsync(lan.Nodes, 2));
        output.WriteLine($"all moved after {active.TotalSeconds:0.0} s at 20 % loss");

        // In the middle of the overlap: its state is on disk.
        await lan.Nodes[2].KillAsync();
        lan.Nodes[2].Start();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        TimeSpan retired = await Until.SeenAsync(TimeSpan.FromSeconds(60), "no node accepts the old key", () => AllUseAsync(lan.Nodes, 1));
        output.WriteLine($"old key gone {retired.TotalSeconds:0.0} s later");
        await lan.HealAsync();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));

        foreach (LanNode node in lan.Nodes)
        {
            string file = File.ReadAllText(node.KeyPath);
            Assert.DoesNotContain(before.Trim(), file, StringComparison.Ordinal);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(node.KeyPath));
            string secret = file.Split('\n')[1].Split(' ')[2];
            Assert.DoesNotContain(secret, (await node.KctlAsync("cluster", "keys", "-o", "json")).Stdout, StringComparison.Ordinal);
            Assert.DoesNotContain(secret, node.LogTail(10_000), StringComparison.Ordinal);
            EventInfo[] deaths = [.. (await node.EventsAsync(seen[node])).Where(e => e.Type is "MemberDead" && e.Node != lan.Nodes[2].Name)];
            Assert.True(deaths.All(d => d.Message.Contains(lan.Nodes[2].Name, StringComparison.Ordinal)), string.Join("; ", deaths.Select(d => d.Message)));
        }
    });

    [SkippableFact]
    public Task A_node_that_was_away_for_less_than_the_overlap_takes_the_new_key_by_itself_and_one_that_was_away_longer_says_what_it_needs() => OwnLan.OnAsync(3, output, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        LanNode away = lan.Nodes[2];
        LanNode[] others = [.. lan.Nodes.Take(2)];
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await away.TerminateAsync();
        await DeadAsync(others, away);
        await AllSaidAsync(others[0], others);
        (await others[0].KctlAsync("cluster", "rotate-key", "--retire-after", "60s")).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(30), "the two seal with the new key", () => AllUseAsync(others, 2));
        Assert.Contains((await others[0].KeysAsync()).Notes, n => n.Contains(away.Name, StringComparison.Ordinal) && n.Contains("dead", StringComparison.Ordinal));

        away.Start();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await Until.SeenAsync(TimeSpan.FromSeconds(90), "all three hold nothing but the new key", () => AllUseAsync(lan.Nodes, 1));

        await away.TerminateAsync();
        await DeadAsync(others, away);
        await AllSaidAsync(others[1], others);
        (await others[1].KctlAsync("cluster", "rotate-key", "--retire-after", "10s")).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(60), "the two hold nothing but the third key", () => AllUseAsync(others, 1));
        away.Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(40), "the locked out node says so and what helps", async () =>
        {
            StatusReport status = await away.StatusAsync();
            return status.Degraded.Any(d => d.Contains("another key", StringComparison.Ordinal) && d.Contains("kctl cluster join", StringComparison.Ordinal))
                ? null
                : string.Join("; ", status.Degraded);
        });
        string token = (await others[0].KctlAsync("cluster", "token")).OrThrow().Stdout.Trim();
        (await away.KctlAsync("cluster", "join", token)).OrThrow();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await Until.SeenAsync(TimeSpan.FromSeconds(60), "the old keys of the one that came back go, too", () => AllUseAsync(lan.Nodes, 1));
    });

    private static Task<TimeSpan> DeadAsync(IEnumerable<LanNode> observers, LanNode dead) => Until.SeenAsync(
        TimeSpan.FromSeconds(40),
        $"{dead.Name} is taken for dead",
        async () =>
        {
            foreach (LanNode node in observers)
            {
                string status = (await node.StatusAsync()).Members.Single(m => m.Name == dead.Name).Status;
                if (status != "dead")
                {
                    return $"{node.Name} says {status}";
                }
            }

            return null;
        });

    // A rotation is refused while somebody has not said which keys it has, or has more than one.
    private static Task<TimeSpan> AllSaidAsync(LanNode asked, IReadOnlyList<LanNode> nodes) => Until.SeenAsync(
        TimeSpan.FromSeconds(10),
        $"{asked.Name} has heard that each node has one key",
        async () =>
        {
            string[] behind = [.. (await asked.KeysAsync()).Members.Where(m => nodes.Any(n => n.Name == m.Node) && m.Held.Length != 1).Select(m => m.Node)];
            return behind.Length == 0 ? null : string.Join(' ', behind);
        });

    /// <summary>Null when all nodes agree on the active key, use it, and hold that many keys.</summary>
    private static async Task<string?> AllUseAsync(IReadOnlyList<LanNode> nodes, int held)
    {
        HashSet<string> active = [];
        foreach (LanNode node in nodes)
        {
            ClusterKeys keys = await node.KeysAsync();
            ClusterKey[] own = [.. keys.Keys.Where(k => k.State != "elsewhere")];
            active.Add(own.Single(k => k.State == "active").Id);
            if (own.Length != held || own[^1].State != "active")
            {
                return $"{node.Name}: {string.Join(", ", own.Select(k => $"{k.Id} {k.State}"))}; {string.Join("; ", keys.Notes)}";
            }
        }

        return active.Count == 1 ? null : string.Join(' ', active);
    }
}
