using System.Globalization;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Membership;

/// <summary>Nobody dies, but a share of all frames does: how often are the living suspected and buried?</summary>
internal static class FalseDeathsRun
{
    public static async Task<bool> RunAsync(Options options, TimeSpan during)
    {
        int nodes = options.Nodes.IsEmpty ? 8 : options.Nodes[0];
        string[] sides = [.. Options.Sides.Where(options.Wants)];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"N = {nodes}, {options.Loss} % of all frames dropped by the switch (nft numgen random), {during.TotalMinutes:0.#} min, load average {File.ReadAllText("/proc/loadavg").Trim()}"));
        long[] deaths = await Task.WhenAll(sides.Select(s => WatchAsync(s, nodes, options, during)));
        return sides.Zip(deaths, (s, d) => s != "kcore" || d == 0).All(good => good);
    }

    private static async Task<long> WatchAsync(string side, int nodes, Options options, TimeSpan during)
    {
        await using NodeLan lan = await NodeLan.CreateAsync(nodes);
        using Interruption interruption = new(lan);
        await using IAgents agents = side == "kcore" ? new KcoreAgents(lan, options.Mdns) : new SerfAgents(lan);
        await new Course(agents, lan, options, new Results()).JoinAsync();
        await lan.LosePacketsAsync(options.Loss);
        long suspected = agents.Sightings.Count(Standing.Suspect), dead = agents.Sightings.Count(Standing.Dead);
        for (int minute = 1; minute <= (int)Math.Ceiling(during.TotalMinutes); minute++)
        {
            await Task.Delay(minute * TimeSpan.FromMinutes(1) <= during ? TimeSpan.FromMinutes(1) : during - ((minute - 1) * TimeSpan.FromMinutes(1)));
            Console.WriteLine($"{agents.Name}, minute {minute}: {agents.Sightings.Count(Standing.Suspect) - suspected} suspicions heard of, {agents.Sightings.Count(Standing.Dead) - dead} deaths");
        }

        long buried = agents.Sightings.Count(Standing.Dead) - dead;
        string counters = (await Command.OutputAsync("ip", "netns", "exec", lan.Switch, "nft", "list", "table", "bridge", "fault")).Replace("\n", " ", StringComparison.Ordinal);
        Console.WriteLine($"{agents.Name}: {buried} false deaths (each agent's word counts) in {during.TotalMinutes:0.#} min among {nodes}; the fault was {counters}");
        await lan.HealAsync();
        return buried;
    }
}
