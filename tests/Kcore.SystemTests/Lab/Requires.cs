namespace Kcore.SystemTests.Lab;

/// <summary>What this layer needs from the machine; a test that lacks it is skipped with the reason.</summary>
internal static class Requires
{
    public static void Kernel()
    {
        Skip.IfNot(Environment.UserName == "root" || Environment.IsPrivilegedProcess, "needs root: the tests make network namespaces");
        foreach (string tool in (string[])["ip", "nft", "ping", "bridge"])
        {
            bool found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Append("/sbin")
                .Any(d => File.Exists(Path.Combine(d, tool)));
            Skip.IfNot(found, $"needs the program {tool} (./dev setup installs it)");
        }
    }
}
