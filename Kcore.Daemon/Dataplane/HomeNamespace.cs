using System.Diagnostics.CodeAnalysis;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane;

/// <summary>
/// The network namespace of the node. A daemon has its process's own; several nodes in one process, each in a
/// namespace, are given theirs.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore has no handle to close, and lives as long as the process.")]
internal sealed class HomeNamespace(NetworkNamespace? ns)
{
    /// <summary>
    /// Held by whoever makes devices here: a pass chooses their numbers beforehand and addresses them by these, so a device that
    /// another one made meanwhile and got such a number would be changed in their place.
    /// </summary>
    public SemaphoreSlim Making { get; } = new(1, 1);

    public static HomeNamespace OfProcess { get; } = new(null);

    /// <summary>Runs something that depends on the namespace of its thread: files of /proc/sys/net, ioctls, the start of a process.</summary>
    public T Run<T>(Func<T> function) => ns is null ? function() : ns.Run(function);

    public RouteSocket OpenRoute() => ns is null ? RouteSocket.Open() : RouteSocket.Open(ns);

    public KernelMonitor OpenMonitor() => ns is null ? KernelMonitor.Open() : KernelMonitor.Open(ns);
}
