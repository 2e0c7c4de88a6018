using System.Diagnostics;
using System.Globalization;
using Kcore.Contracts;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>
/// One node sleeps through the deletion of facts and through the disposal of their tombstones (ten minutes after, once the
/// others have acknowledged them): what is gone must stay gone when it is back, and all must agree at once.
/// </summary>
internal static class AbsenceRun
{
    private const int Networks = 5;

    public static async Task<bool> RunAsync(Options options, TimeSpan absence)
    {
        await using NodeLan lan = await NodeLan.CreateAsync(options.Nodes.IsEmpty ? 4 : options.Nodes[0]);
        using Interruption interruption = new(lan);
        await using var agents = new KcoreAgents(lan, options.Mdns);
        await new Course(agents, lan, options, new Results()).JoinAsync();
        int sleeper = lan.Nodes.Count - 1;
        for (int i = 0; i < Networks; i++)
        {
            (await lan.Nodes[0].KctlAsync("create", "network", $"gone{i}", "--type", "vxlan", "--gateway-ip", $"10.{210 + i}.0.1")).OrThrow();
        }

        await agents.SameDigestAsync(TimeSpan.FromSeconds(30));
        await agents.KillAsync(sleeper);
        for (int i = 0; i < Networks; i++)
        {
            (await lan.Nodes[0].KctlAsync("delete", "network", $"gone{i}")).OrThrow();
        }

        Console.WriteLine($"{Networks} networks deleted while {lan.Nodes[sleeper].Name} is down; waiting {absence.TotalMinutes:0.#} min");
        await Task.Delay(absence);
        lan.Nodes[sleeper].Start();
        await lan.Nodes[sleeper].AnswersAsync(TimeSpan.FromSeconds(60));
        long back = Stopwatch.GetTimestamp();
        while ((await agents.DigestsAsync()).Distinct(StringComparer.Ordinal).Count() > 1 && Stopwatch.GetElapsedTime(back) < TimeSpan.FromMinutes(1))
        {
            await Task.Delay(20);
        }

        double equal = Stopwatch.GetElapsedTime(back).TotalSeconds;
        await Task.Delay(TimeSpan.FromSeconds(5));
        int risen = 0;
        foreach (LanNode node in lan.Nodes)
        {
            risen += (await node.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary).Length;
        }

        bool same = (await agents.DigestsAsync()).Distinct(StringComparer.Ordinal).Count() == 1;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"back as a member; digests equal after {equal:0.00} s; five seconds later they are {(same ? "equal" : "DIFFERENT")} and {risen} deleted networks are seen"));
        return same && risen == 0 && equal <= 2;
    }
}
