using System.Net.NetworkInformation;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests;

/// <summary>A network namespace without a name, made for one test and gone with it, and a socket inside.</summary>
internal sealed class KernelSandbox : IDisposable
{
    private KernelSandbox(NetworkNamespace ns)
    {
        Namespace = ns;
        Socket = RouteSocket.Open(ns);
    }

    public NetworkNamespace Namespace { get; }

    public RouteSocket Socket { get; }

    /// <summary>Skips the test where namespaces cannot be made.</summary>
    public static KernelSandbox Open()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "network namespaces need root");
        return new KernelSandbox(NetworkNamespace.CreateAnonymous());
    }

    public static PhysicalAddress Mac(int n) =>
        new([0x02, 0x6b, 0, (byte)(n >> 16), (byte)(n >> 8), (byte)n]);

    /// <summary>Executes and fails the test on any refusal.</summary>
    public void Do(Action<RouteBatch> build)
    {
        var batch = new RouteBatch();
        build(batch);
        Socket.Execute(batch).ThrowIfFailed();
    }

    public void Dispose()
    {
        Socket.Dispose();
        Namespace.Dispose();
    }
}
