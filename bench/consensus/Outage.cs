using System.Diagnostics;

namespace Kcore.Bench.Consensus;

/// <summary>How long nobody gets an answer when the leader dies or is asked to hand over. One client asks all the time, whichever node answers.</summary>
internal static class Outage
{
    private static readonly TimeSpan TryLimit = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>SIGKILL of the leader to the next success, milliseconds.</summary>
    public static async Task<double> KillAsync(ISide side)
    {
        int leader = await side.LeaderAsync();
        await using var client = new RovingClient(side, leader);
        await client.SucceedAsync(Patience);
        long killed = Stopwatch.GetTimestamp();
        await side.KillAsync(leader);
        client.Avoid(leader);
        await client.SucceedAsync(Patience);
        double gap = Stopwatch.GetElapsedTime(killed).TotalMilliseconds;
        await side.ReviveAsync(leader);
        return gap;
    }

    /// <summary>The longest time between two successes around a planned change of leader, milliseconds.</summary>
    public static async Task<double> TransferAsync(ISide side)
    {
        int from = await side.LeaderAsync();
        int to = (from + 1) % side.Count;
        await using var client = new RovingClient(side, from);
        await client.SucceedAsync(Patience);
        Task moved = side.TransferAsync(from, to);
        double longest = 0;
        long last = Stopwatch.GetTimestamp();
        for (long until = 0; until == 0 || Stopwatch.GetTimestamp() < until;)
        {
            await client.SucceedAsync(Patience);
            longest = Math.Max(longest, Stopwatch.GetElapsedTime(last).TotalMilliseconds);
            last = Stopwatch.GetTimestamp();
            if (until == 0 && moved.IsCompleted)
            {
                until = Stopwatch.GetTimestamp() + (Stopwatch.Frequency / 2);
            }
        }

        await moved;
        return longest;
    }

    private sealed class RovingClient(ISide side, int node) : IAsyncDisposable
    {
        private readonly Dictionary<int, IWrites> _open = [];
        private int _avoided = -1;
        private int _node = node;

        public void Avoid(int node) => _avoided = node;

        public async Task SucceedAsync(TimeSpan within)
        {
            long begun = Stopwatch.GetTimestamp();
            while (true)
            {
                using var limit = new CancellationTokenSource(TryLimit);
                try
                {
                    if (!_open.TryGetValue(_node, out IWrites? connection))
                    {
                        _open[_node] = connection = await side.ConnectAsync(_node, limit.Token);
                    }

                    await connection.WriteAsync(limit.Token);
                    return;
                }
                catch (Exception e) when (e is IOException or OperationCanceledException && Stopwatch.GetElapsedTime(begun) < within)
                {
                    // Connections to the living are kept; who does not lead says so at once.
                    if (_open.TryGetValue(_node, out IWrites? dead) && (dead.IsBroken || _node == _avoided))
                    {
                        _open.Remove(_node);
                        await dead.DisposeAsync();
                    }

                    do
                    {
                        _node = (_node + 1) % side.Count;
                    }
                    while (_node == _avoided);
                    await Task.Delay(Pause);
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (IWrites connection in _open.Values)
            {
                await connection.DisposeAsync();
            }
        }
    }
}
