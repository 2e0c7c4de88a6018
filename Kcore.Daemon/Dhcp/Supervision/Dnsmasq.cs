namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>The program and how it is called.</summary>
internal static class Dnsmasq
{
    private const string Usual = "/usr/sbin/dnsmasq";

    /// <summary>Users' search paths often lack /usr/sbin.</summary>
    public static string Path => File.Exists(Usual) ? Usual : "dnsmasq";

    public static string[] Arguments(string configuration) => ["--keep-in-foreground", ServerProcess.ConfigurationFlag + configuration];
}
