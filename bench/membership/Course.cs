using System.Diagnostics;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>What is done with one side, once: the same for both.</summary>
internal sealed class Course(IAgents agents, NodeLan lan, Options options, Results results)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan SplitTime = TimeSpan.FromSeconds(20);

    /// <summary>What was just started is still being compiled.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(60);

    private int N => agents.Count;

    public async Task RunAsync()
    {
        (long busy, long all) = Usage.Machine();
        await JoinAsync();
        if (options.Split is { } split)
        {
            await SplitAsync(split);
            return;
        }

        if (options.Updates is { } only)
        {
            await Task.Delay(Settling);
            await UpdatesAsync(only);
            return;
        }

        await IdleAsync();
        await UpdatesAsync(options.Quick ? 10 : 40);
        for (int i = 0; i < (options.Quick ? 1 : 2); i++)
        {
            await CrashAsync(N - 1 - i);
        }

        await SplitAsync(SplitTime);
        await LeaveAsync(N - 1);
        (long busyAfter, long allAfter) = Usage.Machine();
        results.Add(N, agents.Name, "machine busy during the course, % of all cores", 100.0 * (busyAfter - busy) / Math.Max(1, allAfter - all));
    }

    /// <summary>All but the first at once, from the start of the first of them until everybody sees everybody.</summary>
    public async Task JoinAsync()
    {
        agents.Start(0);
        await agents.IsUpAsync(0);
        long begun = Stopwatch.GetTimestamp();
        for (int i = 1; i < N; i++)
        {
            agents.Start(i);
        }

        await Task.WhenAll(Enumerable.Range(1, N - 1).Select(agents.IsUpAsync));
        Add("all started at once to full view, s", Seconds(begun, await FullViewAsync(begun)));
    }

    private async Task SplitAsync(TimeSpan during)
    {
        LanNode[] left = [.. lan.Nodes.Take(N / 2)], right = [.. lan.Nodes.Skip(N / 2)];
        await lan.SplitAsync(left, right);
        await Task.Delay(during);
        int buried = Pairs().Count(p => agents.Sightings.Of(agents.SpeakerOf(p.Agent), agents.SubjectOf(p.Subject)).Standing == Standing.Dead);
        long healed = Stopwatch.GetTimestamp();
        await lan.HealAsync();
        Add($"split of {during.TotalSeconds:0} s healed to full view, s", Seconds(healed, await FullViewAsync(healed)));
        if (agents is KcoreAgents kcore)
        {
            while ((await kcore.DigestsAsync()).Distinct(StringComparer.Ordinal).Count() > 1)
            {
                await Task.Delay(20);
            }

            Add($"split of {during.TotalSeconds:0} s healed to one digest (kcored), s", Stopwatch.GetElapsedTime(healed).TotalSeconds);
        }

        Add("share of the other half taken for dead in the split, %", 100.0 * buried / (2.0 * left.Length * right.Length));
    }

    private async Task IdleAsync()
    {
        await Task.Delay(options.Quick ? Settling / 4 : Settling);
        Usage before = Usage.Take(agents, lan);
        await Task.Delay(TimeSpan.FromSeconds(options.Quick ? 10 : 30));
        Usage after = Usage.Take(agents, lan);
        double seconds = Seconds(before.At, after.At);
        Add("idle: processor per agent, % of one core", 100 * (after.Processor - before.Processor) / seconds / N);
        Add("idle: sent per agent, bytes/s (frames)", (after.Bytes - before.Bytes) / seconds / N);
        Add("idle: sent per agent, packets/s", (after.Packets - before.Packets) / seconds / N);
        foreach ((double resident, double proportional) in Enumerable.Range(0, N).Select(i => Usage.Memory(agents.PidOf(i))))
        {
            Add("idle: resident memory, MiB", resident);
            Add("idle: proportional memory (shared pages divided), MiB", proportional);
        }
    }

    private async Task UpdatesAsync(int updates)
    {
        for (int i = 0; i < updates; i++)
        {
            if (Heard("update", i, await agents.UpdateAsync(i)) is { } times)
            {
                // What Serf knows is heard by reading its log; kcored notes the time in its own and is asked over its socket as well.
                double heard = 1000 * Math.Max(0, Seconds(times.Origin, times.Heard.Max()));
                Add("update: known by its origin to known by all (log), ms", times.Spread?.TotalMilliseconds ?? heard);
                if (agents is KcoreAgents)
                {
                    Add("update: answered by its origin to answered by all (socket, kcored), ms", heard);
                }
            }
        }

        for (int i = 0; i < updates / 4 && agents is KcoreAgents kcore; i++)
        {
            if (Heard("network", i, await kcore.NetworkAsync()) is { } times)
            {
                Add("network created (kcored): asked to heard by all, ms", 1000 * Seconds(times.Asked, times.Heard.Max()));
            }
        }
    }

    private UpdateTimes? Heard(string what, int number, UpdateTimes times)
    {
        if (times.Missing > 0)
        {
            results.Note($"N = {N}, {agents.Name}: {what} {number} was not heard by {times.Missing} agents within the patience");
            return null;
        }

        return times;
    }

    private async Task CrashAsync(int victim)
    {
        string subject = agents.SubjectOf(victim);
        int[] others = [.. Enumerable.Range(0, N).Where(i => i != victim)];
        long killed = Stopwatch.GetTimestamp();
        await agents.KillAsync(victim);
        bool known = await agents.Sightings.WaitAsync(() => others.All(o => Of(o).Standing is Standing.Dead or Standing.Left), Patience);
        if (!known)
        {
            results.Note($"N = {N}, {agents.Name}: a crash was not known by all within {Patience.TotalSeconds} s");
        }
        else
        {
            Add("crash (SIGKILL) known by the first, s", Seconds(killed, others.Min(o => Of(o).At)));
            Add("crash (SIGKILL) known by all, s", Seconds(killed, others.Max(o => Of(o).At)));
        }

        long restarted = Stopwatch.GetTimestamp();
        agents.Start(victim);
        await agents.IsUpAsync(victim);
        Add("process started again to full view, s", Seconds(restarted, await FullViewAsync(restarted)));
        await Task.Delay(TimeSpan.FromSeconds(2));

        (Standing Standing, long At) Of(int agent) => agents.Sightings.Of(agents.SpeakerOf(agent), subject);
    }

    private async Task LeaveAsync(int leaver)
    {
        string subject = agents.SubjectOf(leaver);
        int[] others = [.. Enumerable.Range(0, N).Where(i => i != leaver)];
        long asked = Stopwatch.GetTimestamp();
        agents.Leave(leaver);
        if (await agents.Sightings.WaitAsync(() => others.All(o => Of(o).Standing == Standing.Left), Patience))
        {
            Add("graceful leave known by all, s", Seconds(asked, others.Max(o => Of(o).At)));
        }
        else
        {
            results.Note($"N = {N}, {agents.Name}: a leave was not known by all within {Patience.TotalSeconds} s");
        }

        (Standing Standing, long At) Of(int agent) => agents.Sightings.Of(agents.SpeakerOf(agent), subject);
    }

    /// <summary>Waits until every agent sees every other alive; when the last of them came to that.</summary>
    private async Task<long> FullViewAsync(long since)
    {
        (int Agent, int Subject)[] pairs = [.. Pairs()];
        bool full = await agents.Sightings.WaitAsync(() => pairs.All(p => Of(p).Standing == Standing.Alive), Patience);
        if (!full)
        {
            results.Note($"N = {N}, {agents.Name}: no full view within {Patience.TotalSeconds} s; missing: {string.Join(' ', pairs.Where(p => Of(p).Standing != Standing.Alive).Take(5))}");
        }

        return Math.Max(since, pairs.Max(p => Of(p).At));

        (Standing Standing, long At) Of((int Agent, int Subject) pair) =>
            agents.Sightings.Of(agents.SpeakerOf(pair.Agent), agents.SubjectOf(pair.Subject));
    }

    private IEnumerable<(int Agent, int Subject)> Pairs() =>
        Enumerable.Range(0, N).SelectMany(a => Enumerable.Range(0, N).Where(s => s != a).Select(s => (a, s)));

    private void Add(string question, double value) => results.Add(N, agents.Name, question, value);

    private static double Seconds(long from, long to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds;
}
