using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Dataplane;

/// <summary>A forwarding entry: a MAC behind a tunnel end, or without one at a port.</summary>
internal readonly record struct Placed(string Device, PhysicalAddress Mac, IPAddress? Destination);

/// <summary>
/// Hears every forwarding entry that anybody makes on a node, and keeps those that were neither there when all was well nor are the
/// hand's own: entries to a wrong host. A full queue would make it deaf and is told.
/// </summary>
internal sealed class PlacementWatch : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly KernelMonitor _monitor;
    private readonly HashSet<Placed> _right = [];
    private readonly Dictionary<int, string> _names = [];
    private readonly ConcurrentDictionary<string, int> _wrong = new(StringComparer.Ordinal);
    private readonly string _node;
    private readonly Task _listening;

    private PlacementWatch(LanNode node, IEnumerable<Placed> byHand)
    {
        _node = node.Name;
        using NetworkNamespace kernel = NetworkNamespace.Named(node.Namespace);
        _monitor = KernelMonitor.Open(kernel, nftables: false);
        using RouteSocket socket = RouteSocket.Open(kernel);
        foreach (LinkInfo link in socket.DumpLinks())
        {
            _names[link.Index] = link.Name;
        }

        _right.UnionWith(byHand);
        _right.UnionWith(socket.DumpFdb().Where(Counts).Select(Place));
        _listening = ListenAsync();
    }

    /// <summary>Entries heard so far.</summary>
    public int Heard { get; private set; }

    public IEnumerable<string> Wrong => _wrong.Select(w => $"{w.Key} ({w.Value} times)");

    public static PlacementWatch Start(LanNode node, IEnumerable<Placed> byHand) => new(node, byHand);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening;
        _monitor.Dispose();
        _stop.Dispose();
    }

    /// <summary>The MACs of ports are their bridge's own and go with them.</summary>
    private static bool Counts(NeighbourInfo entry) =>
        entry is { Table: NeighbourTable.Fdb, Mac: not null }
        && (entry.Destination is not null || (entry.Master is not null && !entry.State.HasFlag(NeighbourState.Permanent)));

    private Placed Place(NeighbourInfo entry) => new(_names.GetValueOrDefault(entry.LinkIndex, $"device {entry.LinkIndex}"), entry.Mac!, entry.Destination);

    private async Task ListenAsync()
    {
        try
        {
            await foreach (KernelChange change in _monitor.ReadAsync(_stop.Token))
            {
                switch (change)
                {
                    case KernelChange.Link { Removed: false } link:
                        _names[link.Info.Index] = link.Info.Name;
                        break;
                    case KernelChange.Resync lost:
                        _wrong.AddOrUpdate($"{_node}: {lost.Reason}", 1, (_, n) => n + 1);
                        break;
                    case KernelChange.Neighbour { Removed: false } made when Counts(made.Info):
                        Heard++;
                        if (!_right.Contains(Place(made.Info)))
                        {
                            _wrong.AddOrUpdate($"{_node}: {Place(made.Info)}", 1, (_, n) => n + 1);
                        }

                        break;
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Told to.
        }
    }
}
