using System.Diagnostics;
using System.Text;
using Kcore.Netlink.Nftables;

namespace Kcore.Netlink.Tests.Nftables;

public sealed class NftablesSocketTests
{
    [SkippableFact]
    public void Every_transaction_whoever_makes_it_raises_the_generation_by_one_and_reading_does_not()
    {
        using KernelSandbox box = Sandbox();
        using NftablesSocket socket = NftablesSocket.Open(box.Namespace);
        uint first = socket.ReadGeneration();

        Nft(box, "list ruleset");
        Assert.Equal(first, socket.ReadGeneration());

        Nft(box, "add table inet stranger");
        Assert.Equal(first + 1, socket.ReadGeneration());

        // One transaction, however much is in it.
        Nft(box, "delete table inet stranger; add table inet stranger; add set inet stranger a { type ifname; elements = { \"x\" } }");
        Assert.Equal(first + 2, socket.ReadGeneration());

        Nft(box, "add element inet stranger a { \"y\" }");
        Nft(box, "flush ruleset");
        Assert.Equal(first + 4, socket.ReadGeneration());

        // What is refused leaves everything as it was.
        Nft(box, "delete table inet nobodys", succeeds: false);
        Assert.Equal(first + 4, socket.ReadGeneration());
    }

    [SkippableFact]
    public void The_generation_is_that_of_the_namespace_alone()
    {
        using KernelSandbox box = Sandbox();
        using KernelSandbox other = KernelSandbox.Open();
        using NftablesSocket socket = NftablesSocket.Open(box.Namespace);
        uint first = socket.ReadGeneration();
        Nft(other, "add table inet stranger");

        Assert.Equal(first, socket.ReadGeneration());
    }

    [SkippableFact]
    public void What_elements_have_counted_is_read_without_a_process()
    {
        using KernelSandbox box = Sandbox();
        using NftablesSocket socket = NftablesSocket.Open(box.Namespace);
        Nft(box, "add table bridge t; add set bridge t ports { type ifname; counter; elements = { \"tap-1\" counter packets 7 bytes 294, \"tap-2\" } }; add set bridge t plain { type ifname; elements = { \"x\" } }");

        Assert.Equal(
            [("tap-1", 7UL, 294UL), ("tap-2", 0UL, 0UL)],
            socket.DumpCounts(7, "t", "ports").Select(c => (Encoding.UTF8.GetString(c.Key.Span).TrimEnd('\0'), c.Packets, c.Bytes)).Order());
        Assert.Empty(socket.DumpCounts(7, "t", "plain"));
        Assert.Equal(Errno.ENOENT, Assert.Throws<NetlinkException>(() => socket.DumpCounts(7, "t", "nobodys")).Errno);

        // A refused dump leaves nothing behind that the next could trip over.
        Assert.Equal(2, socket.DumpCounts(7, "t", "ports").Count);
    }

    private static KernelSandbox Sandbox()
    {
        Skip.IfNot(File.Exists("/usr/sbin/nft"), "nft is not installed");
        return KernelSandbox.Open();
    }

    private static void Nft(KernelSandbox box, string commands, bool succeeds = true) => box.Namespace.Run(() =>
    {
        using var nft = Process.Start(new ProcessStartInfo("/usr/sbin/nft", [commands]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        string error = nft.StandardError.ReadToEnd();
        nft.WaitForExit();
        Assert.True(nft.ExitCode == 0 == succeeds, error);
        return true;
    });
}
