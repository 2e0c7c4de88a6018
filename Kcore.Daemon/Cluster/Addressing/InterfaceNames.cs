namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>
/// Device names that never lead to another host: our own, and those of the usual container and VM software. Names,
/// because the kernel's device kind does not tell: a container's only network card is one end of a veth pair too, but
/// is called eth0 there.
/// </summary>
internal static class InterfaceNames
{
    private static readonly string[] Own = ["kbr-", "kb-", "vxlan", "tap-", "kv", "kwg"];

    private static readonly string[] Foreign =
    [
        "veth", "docker", "br-", "cni", "flannel", "cali", "cilium", "lxc", "virbr", "vnet", "podman", "tap", "tun",
        "wg", "tailscale", "zt", "ifb", "dummy",
    ];

    /// <summary>A device Kcore makes: bridges, tunnels, TAPs, veths.</summary>
    public static bool IsOwn(string name) => StartsWithAny(name, Own);

    /// <summary>A device of ours or of the usual virtual networks, or loopback.</summary>
    public static bool IsVirtual(string name) => name == "lo" || IsOwn(name) || StartsWithAny(name, Foreign);

    private static bool StartsWithAny(string name, string[] prefixes) =>
        Array.Exists(prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}
