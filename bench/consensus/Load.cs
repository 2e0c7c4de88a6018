using System.Diagnostics;

namespace Kcore.Bench.Consensus;

/// <summary>What a number of clients saw who each ask again as soon as they are answered.</summary>
/// <param name="Milliseconds">Of each operation, sorted.</param>
/// <param name="PerSecond">Operations of all clients together.</param>
internal sealed record Load(double[] Milliseconds, double PerSecond)
{
    // Both sides get the same number of connections; more would measure sockets.
    private const int ConnectionsMax = 8;

    public static async Task<Load> RunAsync(ISide side, int node, int clients, int operations)
    {
        List<IWrites> connections = [];
        try
        {
            for (int i = 0; i < Math.Min(clients, ConnectionsMax); i++)
            {
                connections.Add(await side.ConnectAsync(node, default));
            }

            // The first operations of a connection pay for what is done once.
            await Task.WhenAll(connections.Select(async c =>
            {
                for (int i = 0; i < 20; i++)
                {
                    await c.WriteAsync(default);
                }
            }));

            var times = new double[operations];
            int next = -1;
            long begun = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
            {
                await Task.Yield();
                IWrites mine = connections[client % connections.Count];
                while (Interlocked.Increment(ref next) is var i && i < operations)
                {
                    long asked = Stopwatch.GetTimestamp();
                    await mine.WriteAsync(default);
                    times[i] = Stopwatch.GetElapsedTime(asked).TotalMilliseconds;
                }
            }));
            double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            Array.Sort(times);
            return new Load(times, operations / seconds);
        }
        finally
        {
            foreach (IWrites connection in connections)
            {
                await connection.DisposeAsync();
            }
        }
    }
}
