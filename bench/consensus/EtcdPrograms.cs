using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Consensus;

/// <summary>
/// etcd as Debian ships it (packages etcd-server and etcd-client), unpacked beside what was built and not installed: an
/// installation would start a server of its own on this host.
/// </summary>
internal static class EtcdPrograms
{
    private static readonly string Place = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(Binaries.Daemon)!)!, "etcd");

    public static string Server => Path.Combine(Place, "usr/bin/etcd");

    public static string Control => Path.Combine(Place, "usr/bin/etcdctl");

    public static async Task UnpackAsync()
    {
        if (File.Exists(Server) && File.Exists(Control))
        {
            return;
        }

        Directory.CreateDirectory(Place);
        foreach (string package in (string[])["etcd-server", "etcd-client"])
        {
            Console.Error.WriteLine($"unpacking the Debian package {package}");
            (await Command.RunAsync(
                "sh", ["-c", $"cd '{Place}' && apt-get -qq download {package} && dpkg-deb -x {package}_*.deb . && rm {package}_*.deb"],
                limit: TimeSpan.FromMinutes(5))).OrThrow();
        }
    }
}
